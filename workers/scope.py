"""Which variable each name means, and which function each statement is in.

``resolve`` walks a tree once and leaves ``node.var`` on every identifier that names a local
variable (None: global), together with lists of what later passes ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from workers.syntax import Node, Tree


@dataclass(eq=False)
class Function:
    """A function, or the file itself (``node`` is then the chunk and ``parent`` None).

    ``name`` is what it is assigned to, where that can be seen: ``step``, ``on.offer``.
    """

    node: Node
    parent: Function | None
    name: str = ""
    local: bool = False
    parameters: list[Variable] = field(default_factory=list)
    vararg: bool = False

    @property
    def is_file(self) -> bool:
        return self.parent is None


@dataclass(eq=False)
class Variable:
    """A local variable. ``value`` is its initial expression, where there is exactly one for it;
    ``loop`` the iterator call of the ``for`` it belongs to; ``writes`` its later assignments."""

    name: str
    node: Node
    function: Function
    role: str = "local"
    constant: bool = False
    value: Node | None = None
    loop: Node | None = None
    position: int = 0
    writes: list[Node] = field(default_factory=list)
    reads: int = 0

    @property
    def at_file_level(self) -> bool:
        return self.function.is_file


@dataclass
class Use:
    """An identifier in its place: read, or written to (``node`` is the identifier)."""

    node: Node
    function: Function


@dataclass
class Scopes:
    """What ``resolve`` found. Lists are in source order, as far as evaluation goes."""

    functions: list[Function] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    reads: list[Use] = field(default_factory=list)
    writes: list[Use] = field(default_factory=list)
    """Assignments to plain names, function statements among them."""
    stores: list[Use] = field(default_factory=list)
    """Assignments to fields: ``node`` is the index expression."""
    calls: list[Use] = field(default_factory=list)
    varargs: list[Use] = field(default_factory=list)

    def globals_written(self, tree: Tree) -> dict[str, list[Use]]:
        found: dict[str, list[Use]] = {}
        for use in self.writes:
            if use.node.var is None:
                found.setdefault(tree.slice(use.node), []).append(use)
        return found


class _Resolver:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.out = Scopes()
        self.scopes: list[dict[str, Variable]] = []
        self.function = Function(tree.root, None)

    def run(self) -> Scopes:
        self.out.functions.append(self.function)
        self.scopes.append({})
        self.block(self.tree.root)
        return self.out

    # -- names

    def declare(self, node: Node, role: str = "local") -> Variable:
        name = self.tree.slice(node)
        variable = Variable(name, node, self.function, role)
        node.var = variable
        self.scopes[-1][name] = variable
        self.out.variables.append(variable)
        return variable

    def look_up(self, node: Node) -> Variable | None:
        name = self.tree.slice(node)
        for scope in reversed(self.scopes):
            if name in scope:
                node.var = scope[name]
                return scope[name]
        return None

    def read(self, node: Node) -> None:
        variable = self.look_up(node)
        if variable is not None:
            variable.reads += 1
        self.out.reads.append(Use(node, self.function))

    # -- statements and expressions

    def block(self, node: Node) -> None:
        for child in node.children:
            self.visit(child)

    def scoped(self, node: Node) -> None:
        self.scopes.append({})
        self.block(node)
        self.scopes.pop()

    def visit(self, node: Node) -> None:
        handler = _HANDLERS.get(node.type)
        if handler is not None:
            handler(self, node)
        else:
            for child in node.children:
                self.visit(child)

    def identifier(self, node: Node) -> None:
        self.read(node)

    def vararg(self, node: Node) -> None:
        self.out.varargs.append(Use(node, self.function))

    def nothing(self, node: Node) -> None:
        """Labels, gotos and attributes hold names that are no variables."""

    def local(self, node: Node) -> None:
        for child in node.children:
            if child.type == "assignment_statement":
                values = child.child("expression_list")
                if values is not None:
                    self.visit(values)
                names = child.child("variable_list")
                if names is not None:
                    self.declare_list(names, _expressions(values))
            elif child.type == "variable_list":
                self.declare_list(child, [])

    def declare_list(self, names: Node, values: list[Node]) -> None:
        made: list[Variable] = []
        for child in names.children:
            if child.type == "identifier":
                made.append(self.declare(child))
            elif child.type == "attribute" and made:
                made[-1].constant = "const" in self.tree.slice(child)
        for variable, value in zip(made, values, strict=False):
            variable.value = value

    def assignment(self, node: Node) -> None:
        values = node.child("expression_list")
        if values is not None:
            self.visit(values)
        targets = node.child("variable_list")
        for target in targets.children if targets is not None else []:
            self.target(target)

    def target(self, node: Node) -> None:
        if node.type == "identifier":
            variable = self.look_up(node)
            if variable is not None:
                variable.writes.append(node)
            self.out.writes.append(Use(node, self.function))
        elif node.type in ("dot_index_expression", "bracket_index_expression"):
            self.out.stores.append(Use(node, self.function))
            self.visit(node)
        elif node.type != ",":
            self.visit(node)

    def function_statement(self, node: Node) -> None:
        name = node.get("name")
        is_local = node.children[0].type == "local"
        implicit_self = False
        if name is not None:
            if is_local:
                self.declare(name)
                if isinstance(name.var, Variable):
                    name.var.value = node
            elif name.type == "method_index_expression":
                implicit_self = True
                self.out.stores.append(Use(name, self.function))
                self.visit(name.children[0])
            else:
                self.target(name)
        title = self.tree.slice(name) if name is not None else ""
        self.enter(node, title, is_local, implicit_self)

    def function_value(self, node: Node) -> None:
        parent = node.parent
        title = ""
        is_local = False
        if parent is not None and parent.type == "expression_list":
            statement = parent.parent
            targets = statement.child("variable_list") if statement is not None else None
            if targets is not None:
                names = [child for child in targets.children if child.field == "name"]
                at = _expressions(parent).index(node)
                title = self.tree.slice(names[at]) if at < len(names) else ""
                owner = statement.parent if statement is not None else None
                is_local = owner is not None and owner.type == "variable_declaration"
        self.enter(node, title, is_local, implicit_self=False)

    def enter(self, node: Node, name: str, is_local: bool, implicit_self: bool) -> None:
        outer = self.function
        self.function = Function(node, outer, name, is_local)
        self.out.functions.append(self.function)
        self.scopes.append({})
        parameters = node.child("parameters")
        if implicit_self and parameters is not None:
            made = Variable("self", parameters, self.function, "parameter")
            self.scopes[-1]["self"] = made
            self.function.parameters.append(made)
        for child in parameters.children if parameters is not None else []:
            if child.type == "identifier":
                self.function.parameters.append(self.declare(child, "parameter"))
            elif child.type == "vararg_expression":
                self.function.vararg = True
        body = node.child("block")
        if body is not None:
            self.scoped(body)
        self.scopes.pop()
        self.function = outer

    def for_loop(self, node: Node) -> None:
        self.scopes.append({})
        for clause in node.children:
            if clause.type == "for_numeric_clause":
                name = clause.get("name")
                for child in clause.children:
                    if child is not name:
                        self.visit(child)
                if name is not None:
                    self.declare(name, "for")
            elif clause.type == "for_generic_clause":
                values = clause.child("expression_list")
                names = clause.child("variable_list")
                if values is not None:
                    self.visit(values)
                iterator = _expressions(values)
                for position, child in enumerate(_expressions(names)):
                    variable = self.declare(child, "for")
                    variable.position = position
                    variable.loop = iterator[0] if iterator else None
        body = node.child("block")
        if body is not None:
            self.block(body)
        self.scopes.pop()

    def repeat_loop(self, node: Node) -> None:
        # The condition sees the body's locals.
        self.scopes.append({})
        for child in node.children:
            if child.type == "block":
                self.block(child)
            else:
                self.visit(child)
        self.scopes.pop()

    def index(self, node: Node) -> None:
        self.visit(node.children[0])
        if node.type == "bracket_index_expression":
            for child in node.children[1:]:
                self.visit(child)

    def field(self, node: Node) -> None:
        computed = node.children[0].type == "["
        for child in node.children:
            if child.field != "name" or computed:
                self.visit(child)

    def call(self, node: Node) -> None:
        self.out.calls.append(Use(node, self.function))
        for child in node.children:
            self.visit(child)


def _expressions(node: Node | None) -> list[Node]:
    return [child for child in node.children if child.type != ","] if node is not None else []


_HANDLERS = {
    "identifier": _Resolver.identifier,
    "vararg_expression": _Resolver.vararg,
    "label_statement": _Resolver.nothing,
    "goto_statement": _Resolver.nothing,
    "attribute": _Resolver.nothing,
    "variable_declaration": _Resolver.local,
    "assignment_statement": _Resolver.assignment,
    "function_declaration": _Resolver.function_statement,
    "function_definition": _Resolver.function_value,
    "for_statement": _Resolver.for_loop,
    "repeat_statement": _Resolver.repeat_loop,
    "block": _Resolver.scoped,
    "dot_index_expression": _Resolver.index,
    "bracket_index_expression": _Resolver.index,
    "method_index_expression": _Resolver.index,
    "field": _Resolver.field,
    "function_call": _Resolver.call,
}


def resolve(tree: Tree) -> Scopes:
    """Resolve every name of a tree that parsed without errors (others: as far as it goes)."""
    return _Resolver(tree).run()
