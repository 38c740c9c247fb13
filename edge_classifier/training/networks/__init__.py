"""The networks that can be trained, in torch, and where their first weights come from."""
