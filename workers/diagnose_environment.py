from workers.agent_file import AgentFile


def diagnose_environment(file: AgentFile) -> None:
    pass
