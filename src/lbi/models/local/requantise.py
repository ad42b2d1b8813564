"""Weights at any precision -> the same at 8 bits (Q8_0), which OpenVINO reads: a few seconds, gguf and numpy only.

A 4-bit file of the catalogue grows by a twelfth (its embedding is 8 bits already), and no precision is lost by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_Q8_0 = 7  # general.file_type
_EMBEDDING, _OUTPUT = "token_embd.weight", "output.weight"
_COMPARED, _NEAR = 256, 0.25  # rows that are compared; how far apart they may be, as a part of their size
_ROWS = 1 << 24  # numbers that are converted at a time, so that the memory stays small


def requantise(source: Path, target: Path) -> None:
    """Blocking. What is 32 bits stays so. Raises ValueError for weights that would be read wrongly.

    Small models have one matrix for embedding and output. Files hold it twice where the two are quantised differently;
    then the output's, which is the finer one, is both.
    """
    import gguf

    read = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, str(read.fields["general.architecture"].contents()))
    for key, value in read.fields.items():
        _copy_field(writer, key, value)
    tensors = {tensor.name: tensor for tensor in read.tensors}
    tied = _is_tied(tensors)
    if _OUTPUT in tensors and not tied:
        raise ValueError("its output is a matrix of its own, which OpenVINO does not read from such files")
    for tensor in read.tensors:
        if not (tied and tensor.name == _EMBEDDING):
            _copy_tensor(writer, tensor, _EMBEDDING if tied and tensor.name == _OUTPUT else tensor.name)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _is_tied(tensors: dict[str, Any]) -> bool:
    """Whether embedding and output are one matrix, but for what quantising did to each."""
    import gguf
    import numpy as np

    if not {_EMBEDDING, _OUTPUT} <= tensors.keys():
        return False
    first, second = tensors[_EMBEDDING], tensors[_OUTPUT]
    if tuple(first.shape) != tuple(second.shape):
        return False
    one, other = (gguf.quants.dequantize(each.data[:_COMPARED], each.tensor_type) for each in (first, second))
    return bool(np.abs(one - other).mean() < _NEAR * np.abs(other).mean())


def _copy_field(writer: Any, key: str, field: Any) -> None:
    import gguf

    if key.startswith("GGUF.") or key == "general.architecture":  # the writer's own
        return
    if key == "general.file_type":
        writer.add_file_type(_Q8_0)
        return
    kind = field.types[0]
    inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
    writer.add_key_value(key, field.contents(), kind, sub_type=inner)


def _copy_tensor(writer: Any, tensor: Any, name: str) -> None:
    import gguf
    import numpy as np

    kind = gguf.GGMLQuantizationType
    if tensor.tensor_type in (kind.F32, kind.Q8_0):
        writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)
        return
    rows = tensor.data.reshape(-1, tensor.data.shape[-1])
    at_a_time = max(1, _ROWS // int(tensor.shape[0]))
    parts = [
        gguf.quants.quantize(gguf.quants.dequantize(rows[at : at + at_a_time], tensor.tensor_type), kind.Q8_0)
        for at in range(0, len(rows), at_a_time)
    ]
    writer.add_tensor(name, np.concatenate(parts), raw_dtype=kind.Q8_0)
