"""The real models as ONNX for the peers that read nothing else: OUT/smollm2 from the weights of the GGUF file, OUT/minilm
and OUT/t5-titler from the safetensors, laid out as transformers.js wants them.

    python3 -m venv VENV    # Python 3.11; several gigabytes: torch comes with CUDA
    VENV/bin/pip install torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 onnx-ir==1.1.0 onnxscript==0.7.2 \\
        onnxruntime-genai==0.18.0 transformers==5.23.0 tokenizers==0.23.3 safetensors==0.8.0 gguf==0.19.0
    VENV/bin/python export.py MODELS OUT [minilm] [smollm2]    # what is in OUT already is skipped

t5-titler is exported by optimum, which knows no transformers after 4.57, and so needs another environment:

    python3 -m venv VENV4
    VENV4/bin/pip install torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 onnxscript==0.7.2 optimum==2.1.0 \\
        optimum-onnx==0.1.0 transformers==4.57.3 tokenizers==0.22.2 huggingface_hub==0.36.2 safetensors==0.8.0 protobuf==7.36.2
    VENV4/bin/python export.py MODELS OUT t5-titler

MODELS has all-MiniLM-L6-v2/, SmolLM2-135M-Instruct-Q4_1.gguf and t5-titler/. Without names, all are made that the
environment has packages for. float32 is exact. SmolLM2's q8 and q4 round weights a second time that had 4 bits already:
good for speed, not for judging quality.
"""

import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here is fetched by name
sys.dont_write_bytecode = True  # no __pycache__ beside the makers of the goldens

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

IDS = [504, 31700, 282, 253, 1165, 28899, 1806, 578]  # "The clerk of a small harbour works out"
TEXTS = ["The harbour office measures the water at the pier every hour, and writes the heights into a book that nobody reads.",
         "Ships wait for the tide."]
OPSET = 17  # the newest that @xenova/transformers 2.17 reads, with onnxruntime 1.14
FLOAT_LIMIT = 1e-3  # largest difference of a logit or a state that float32 may have
FLOAT = {"model.onnx", "encoder_model.onnx", "decoder_model_merged.onnx"}
QUANTIZED_COSINE = 0.9  # least cosine of a quantised one: less is no rounding, but a broken graph
T5_QUANTIZED_COSINE = 0.7  # 0.80 was measured: outliers in T5's activations leave little of one scale for a whole tensor


def build(folder, precision, work, path, head_dim):
    """onnxruntime-genai's own export, with GroupQueryAttention and a cache."""
    out = work / precision
    subprocess.run([sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", folder, "-o", out, "-p", precision,
                    "-e", "cpu", "-c", work / "cache"], check=True)
    graph = onnx.load(out / "model.onnx")
    for value in [*graph.graph.input, *graph.graph.output]:
        if value.name.startswith(("past_key_values", "present")):  # transformers.js needs a number where the builder gives a name
            value.type.tensor_type.shape.dim[3].dim_value = head_dim
    onnx.save(graph, path)


def run(path, output, feed):
    """One output of a graph. A decoder's cache starts empty."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    empty = {i.name: np.zeros((1, i.shape[1], 0, i.shape[3]), np.float32)
             for i in session.get_inputs() if i.name.startswith("past_key_values")}
    return session.run([output], {**feed, **empty})[0]


def check(path, got, want, least=QUANTIZED_COSINE):
    """Compares with Hugging Face's float32. least: a quantised graph's cosine."""
    difference, cosine = abs(got - want).max(), (got * want).sum() / np.sqrt((got * got).sum() * (want * want).sum())
    print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB, max abs difference {difference:.1e}, cosine {cosine:.4f}")
    if not (difference <= FLOAT_LIMIT if path.name in FLOAT else cosine >= least):
        sys.exit(f"{path.name}: too far from float32")


def smollm2(models, target):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/fixtures/goldens/make"))
    from real import gguf_llama  # the reader that made the goldens
    full, q8, q4 = (target / f"onnx/{name}.onnx" for name in ("model", "model_quantized", "model_q4"))
    llama, tokenizer = gguf_llama(str(models / "SmolLM2-135M-Instruct-Q4_1.gguf"))
    with tempfile.TemporaryDirectory() as work:
        hf = Path(work) / "hf"
        llama.save_pretrained(hf)
        tokenizer.save_pretrained(hf)
        build(hf, "fp32", Path(work), full, llama.config.head_dim)
        build(hf, "int4", Path(work), q4, llama.config.head_dim)
        config = json.loads((hf / "config.json").read_text())
        # transformers.js reads the keys of transformers 4
        config["rope_theta"] = llama.config.rope_parameters["rope_theta"]
        (target / "config.json").write_text(json.dumps(config))
        (target / "generation_config.json").write_text((hf / "generation_config.json").read_text())
    quantizer = MatMulNBitsQuantizer(onnx.load(full), bits=8, block_size=32, is_symmetric=True, accuracy_level=4,
                                     op_types_to_quantize=("MatMul",))
    quantizer.process()
    onnx.save(quantizer.model.model, q8)
    want = llama(torch.tensor([IDS])).logits.numpy()
    for path in (full, q8, q4):
        check(path, run(path, "logits", {"input_ids": np.array([IDS]), "attention_mask": np.ones((1, len(IDS)), np.int64)}), want)


def minilm(models, target):
    """float32, and int8 weights with activations that are quantised while it runs, one scale for a whole tensor."""
    from tokenizers import Tokenizer
    from transformers import BertModel

    class States(BertModel):
        def forward(self, input_ids, attention_mask, token_type_ids):
            inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
            return super().forward(**inputs).last_hidden_state

    source = models / "all-MiniLM-L6-v2"
    full, q8 = (target / f"onnx/{name}.onnx" for name in ("model", "model_quantized"))
    bert = States.from_pretrained(source, dtype=torch.float32, attn_implementation="eager", add_pooling_layer=False).eval()
    for name in ("config.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(source / name, target)
    # Truncation and padding are the caller's choice.
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8")) | {"truncation": None, "padding": None}
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    rows = [each.ids for each in Tokenizer.from_str(json.dumps(tokenizer)).encode_batch(TEXTS)]
    ids = np.array([row + [0] * (len(rows[0]) - len(row)) for row in rows])  # the second is padded
    mask = (ids > 0).astype(np.int64)
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in (*feed, "last_hidden_state")}
    # Traced with another length than checked, so that a length that got into the graph is found.
    traced = tuple(torch.tensor(each[:, :9]) for each in feed.values())
    torch.onnx.export(bert, traced, str(full), input_names=list(feed), output_names=["last_hidden_state"],
                      dynamic_axes=axes, opset_version=OPSET, dynamo=False)
    quantize_dynamic(full, q8, weight_type=QuantType.QInt8)
    want = bert(*map(torch.tensor, feed.values())).numpy()
    for path in (full, q8):
        check(path, run(path, "last_hidden_state", feed)[mask > 0], want[mask > 0])


def stepwise(path, hidden, mask, tokens):
    """Logits [B, T, V] of a merged decoder, a token a step: the first without a cache, and the others with it."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    cache = {i.name: np.zeros((len(tokens), i.shape[1], 0, i.shape[3]), np.float32)
             for i in session.get_inputs() if i.name.startswith("past_key_values")}
    names, logits = [o.name for o in session.get_outputs()], []
    for t in range(tokens.shape[1]):
        got = dict(zip(names, session.run(names, {
            "input_ids": tokens[:, t:t + 1], "encoder_hidden_states": hidden, "encoder_attention_mask": mask,
            "use_cache_branch": np.array([t > 0]), **cache})))
        logits.append(got["logits"])
        for name in cache:
            if t == 0 or ".decoder." in name:  # the source's keys and values come once
                cache[name] = got[name.replace("past_key_values", "present")]
    return np.concatenate(logits, 1)


def t5_titler(models, target):
    """The encoder, and the decoder with and without a cache in one file, in float32 from weights of 16 bits; and the encoder
    in int8 with one scale for a whole tensor, which T5 takes badly: that is what it is for."""
    from optimum.exporters.onnx import main_export
    from tokenizers import Tokenizer
    from transformers import T5ForConditionalGeneration
    source = models / "t5-titler"
    encoder, decoder, q8 = (target / f"onnx/{name}.onnx"
                            for name in ("encoder_model", "decoder_model_merged", "encoder_model_quantized"))
    t5 = T5ForConditionalGeneration.from_pretrained(source, dtype=torch.float32, attn_implementation="eager").eval()
    with tempfile.TemporaryDirectory() as work:
        hf, made = Path(work) / "hf", Path(work) / "onnx"
        t5.save_pretrained(hf)
        main_export(str(hf), made, task="text2text-generation-with-past", opset=OPSET, do_validation=False)
        for path in (encoder, decoder, target / "config.json", target / "generation_config.json"):
            shutil.copy(made / path.name, path)
    # Truncation and padding are the caller's choice.
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8")) | {"truncation": None, "padding": None}
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    sentinels = [f"<extra_id_{i}>" for i in range(100)]
    (target / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "T5Tokenizer", "model_max_length": t5.config.n_positions, "pad_token": "<pad>", "eos_token": "</s>",
        "unk_token": "<unk>", "extra_ids": len(sentinels), "additional_special_tokens": sentinels}))
    rows = [each.ids for each in Tokenizer.from_str(json.dumps(tokenizer)).encode_batch(TEXTS)]
    ids = np.array([row + [0] * (len(rows[0]) - len(row)) for row in rows])  # the second is padded
    mask = (ids > 0).astype(np.int64)
    tokens = np.concatenate([np.full((2, 1), t5.config.decoder_start_token_id), ids[:, :6]], 1)
    want = t5(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask), decoder_input_ids=torch.tensor(tokens))
    logging.getLogger().setLevel(logging.WARNING)  # optimum's import made it tell of every tensor
    quantize_dynamic(encoder, q8, weight_type=QuantType.QInt8)
    feed, states = {"input_ids": ids, "attention_mask": mask}, want.encoder_last_hidden_state.numpy()[mask > 0]
    hidden = run(encoder, "last_hidden_state", feed)
    check(encoder, hidden[mask > 0], states)
    check(q8, run(q8, "last_hidden_state", feed)[mask > 0], states, T5_QUANTIZED_COSINE)
    check(decoder, stepwise(decoder, hidden, mask, tokens), want.logits.numpy())


JOBS = {"minilm": minilm, "smollm2": smollm2, "t5-titler": t5_titler}


def possible():
    """What the packages of this environment can make."""
    return [name for name in JOBS if (name == "t5-titler") == (importlib.util.find_spec("optimum") is not None)]


def main(models, out, *names):
    if unknown := set(names) - set(JOBS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(JOBS)}")
    torch.set_grad_enabled(False)
    for name in names or possible():
        target, work = Path(out) / name, Path(out) / f".build-{name}"
        if target.exists():
            print(f"{name}: there, skipped")
            continue
        shutil.rmtree(work, ignore_errors=True)
        (work / "onnx").mkdir(parents=True)
        JOBS[name](Path(models), work)
        work.rename(target)  # only what passed its checks


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
