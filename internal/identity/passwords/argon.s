// Functions without a body, whose bodies are elsewhere, need a file of this kind beside them.
