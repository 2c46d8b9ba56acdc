"""The encoder that is trained and exported, and the tokenizer that reads for it: what a checkpoint holds."""
