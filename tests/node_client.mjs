// An MCP client that is not the Python SDK: @modelcontextprotocol/client on Node.
// usage: node node_client.mjs ERA TARGET   (ERA legacy|auto; TARGET a URL or a JSON {command, args, env})
// Prints one JSON object with what it saw.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [era, target] = process.argv.slice(2);
const transport = target.startsWith("http")
  ? new StreamableHTTPClientTransport(new URL(target))
  : new StdioClientTransport(JSON.parse(target));
const client = new Client(
  { name: "node", version: "1" },
  era === "auto" ? { versionNegotiation: { mode: "auto" } } : {},
);
await client.connect(transport);

const seen = { answers: [], progress: 0, instructions: client.getInstructions() };
const call = async (name, args, options) => {
  const result = await client.callTool({ name, arguments: args }, options);
  seen.answers.push({ name, text: result.content[0].text, isError: result.isError ?? false });
};
seen.tools = (await client.listTools()).tools.map((tool) => tool.name);
await call("guide", {});
await call("sim_run", { sim: "x", tick: 1 });
for (const step of JSON.parse(process.env.STEPS ?? "[]")) {
  await call(step.name, step.arguments, { onprogress: () => (seen.progress += 1) });
}
try {
  await client.callTool({ name: "sim_rum", arguments: {} });
} catch (error) {
  seen.unknown = error.message;
}
await client.close();
console.log(JSON.stringify(seen));
