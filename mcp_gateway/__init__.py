"""The MCP gateway: tools of a language model, translated to commands of the coordinator."""
