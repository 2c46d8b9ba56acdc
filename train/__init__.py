"""Data -> tokenizer -> multi-exit training -> checkpoint. Needs torch; the runtime never imports it."""
