from runtime.protocol import ModelSpec
from workers.agent_file import AgentFile


def diagnose_features(file: AgentFile, model: ModelSpec, script: AgentFile | None) -> None:
    pass
