"""A GPU for the deepest exit, when many texts are encoded at once. docs/gpu.md says what a user sees of it.

    use.py             the GPU of a process: is there one, is it right, what happens when it fails
    providers.py       which of onnxruntime's execution providers, in order of preference
    gpu_exit.py        batches by tokens, halved when the GPU's memory is full
    kept.py            the fp16 graph in the cache folder
    half_precision.py  how that is made of the bundle's int8 graph

Nothing of it is imported before that many texts come, so a question never waits for it.
"""
