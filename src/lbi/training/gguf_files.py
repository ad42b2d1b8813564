"""An adapter -> GGUF for llama.cpp: by itself, beside its base, or merged into the base and quantised to Q8_0.

Merged files serve everywhere, also where adapters are not read (OpenVINO); made by numpy in seconds for a small model.
Only a base that came as a GGUF file can be merged into one: everything else in that file (tokenizer, template) is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lbi.errors import UserError
from lbi.protocols import Json

ADAPTER = "adapter.gguf"
#: of a model's config -> what GGUF calls its architecture
ARCHITECTURES = {
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "llama": "llama",
    "mistral": "llama",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
}
#: architectures whose query and key rows GGUF keeps in another order, for its way of rotating them
REORDERED = {"llama"}
BLOCK = 32  # values that share a scale in Q8_0
Floats = npt.NDArray[np.float32]


class Pair(NamedTuple):
    """The two matrices of one adapted layer: A (rank, in) and B (out, rank)."""

    a: Floats
    b: Floats


class Shape(NamedTuple):
    """What is to be known of a model to name and order its weights in GGUF."""

    architecture: str
    blocks: int
    heads: int
    key_heads: int


def shape_of(config: Json) -> Shape | None:
    """From a model's config.json; None for an architecture whose names are not known here."""
    architecture = ARCHITECTURES.get(config.get("model_type", ""))
    if architecture is None:
        return None
    heads = int(config["num_attention_heads"])
    return Shape(architecture, int(config["num_hidden_layers"]), heads, int(config.get("num_key_value_heads") or heads))


def read_adapter(folder: Path, shape: Shape) -> dict[str, Pair]:
    """{name of a weight in GGUF: its pair}, in GGUF's order of rows. Raises UserError for a layer that GGUF has not."""
    from safetensors.numpy import load_file

    stored = load_file(str(folder / "adapter_model.safetensors"))
    pairs = {}
    for name in stored:
        if name.endswith(".lora_A.weight"):
            layer = name.removesuffix(".lora_A.weight")
            module = layer.removeprefix("base_model.model.")
            a, b = stored[name].astype(np.float32), stored[f"{layer}.lora_B.weight"].astype(np.float32)
            pairs[_name(module, shape)] = Pair(a, _in_order(b, module, shape))
    return pairs


def _name(module: str, shape: Shape) -> str:
    import gguf

    architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == shape.architecture)
    name = gguf.get_tensor_name_map(architecture, shape.blocks).get_name(f"{module}.weight", (".weight",))
    if name is None:
        raise UserError(f"GGUF has no name for the layer {module} of a {shape.architecture}")
    return str(name)


def _in_order(b: Floats, module: str, shape: Shape) -> Floats:
    """GGUF turns pairs of neighbours where transformers turns halves, so rows of queries and keys change places."""
    leaf = module.rpartition(".")[2]
    if shape.architecture not in REORDERED or leaf not in ("q_proj", "k_proj"):
        return b
    heads = shape.heads if leaf == "q_proj" else shape.key_heads
    halves = b.reshape(heads, 2, b.shape[0] // heads // 2, b.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(b.shape))


def write_adapter(pairs: Mapping[str, Pair], alpha: float, shape: Shape, file: Path) -> None:
    """Write an adapter that llama.cpp loads beside its base."""
    import gguf

    part = file.with_name(f".{file.name}.part")
    writer = gguf.GGUFWriter(part, shape.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(alpha))
    for name, pair in sorted(pairs.items()):
        writer.add_tensor(f"{name}.lora_a", pair.a)
        writer.add_tensor(f"{name}.lora_b", pair.b)
    _close(writer)
    part.replace(file)


def write_merged(base: Path, pairs: Mapping[str, Pair], scale: float, file: Path) -> None:
    """The base with the adapter added to its weights (scale * B A); matrices as Q8_0, everything else as it was."""
    import gguf

    reader = gguf.GGUFReader(base)
    part = file.with_name(f".{file.name}.part")
    writer = gguf.GGUFWriter(part, _text(reader, "general.architecture"))
    _copy_fields(reader, writer)
    unused = set(pairs)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        if pair := pairs.get(tensor.name):
            values = values + np.float32(scale) * (pair.b @ pair.a)
            unused.discard(tensor.name)
        _add(writer, tensor, values)
    if unused:
        part.unlink(missing_ok=True)
        raise UserError(f"{base} has no weight {min(unused)}, so the adapter belongs to another model")
    _close(writer)
    part.replace(file)


def _add(writer: Any, tensor: Any, values: Floats) -> None:
    import gguf

    if values.ndim < 2 or values.shape[-1] % BLOCK:
        writer.add_tensor(tensor.name, values)
    else:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)


def _copy_fields(reader: Any, writer: Any) -> None:
    """Tokenizer, template and sizes as they are; what the writer states itself, and the old quantisation, are not."""
    import gguf

    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=inner)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def _text(reader: Any, key: str) -> str:
    return str(reader.fields[key].contents())


def _close(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def fields_of(file: Path) -> Iterator[tuple[str, Any]]:
    """The header of a GGUF file."""
    import gguf

    for name, field in gguf.GGUFReader(file).fields.items():
        yield name, field.contents()
