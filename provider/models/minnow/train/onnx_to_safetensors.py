#!/usr/bin/env python3
"""Makes model.safetensors (fp16, Hugging Face Llama names) again from onnx/model.onnx, which stores the same fp16 values.

The result is byte for byte the file that export_onnx.py wrote. Python 3 standard library only.
usage: onnx_to_safetensors.py MODEL_FOLDER     (writes MODEL_FOLDER/model.safetensors)
"""
import json
import os
import struct
import sys
from array import array


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, value) of each field of a protobuf message; nested messages stay bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            value = data[at:at + size]
            at += size
        else:
            size = {1: 8, 5: 4}[key & 7]
            value = data[at:at + size]
            at += size
        yield key >> 3, value


def halves(path):
    """fp16 initialisers by name: (dims, values as raw 16-bit words)."""
    data = memoryview(open(path, 'rb').read())
    graph = next(value for number, value in fields(data) if number == 7)
    out = {}
    for number, tensor in fields(graph):
        if number != 5:
            continue
        dims, kind, name, raw = [], 0, '', b''
        for field, value in fields(tensor):
            if field == 1:
                if isinstance(value, int):
                    dims.append(value)
                else:
                    at = 0
                    while at < len(value):
                        dim, at = varint(value, at)
                        dims.append(dim)
            elif field == 2:
                kind = value
            elif field == 8:
                name = bytes(value).decode()
            elif field == 9:
                raw = value
        if kind == 10:  # FLOAT16
            words = array('H')
            words.frombytes(bytes(raw))
            out[name] = (dims, words)
    return out


def main(folder):
    config = json.load(open(os.path.join(folder, 'config.json')))
    weights = halves(os.path.join(folder, 'onnx', 'model.onnx'))
    head = config['head_dim']
    queries, keys = config['num_attention_heads'] * head, config['num_key_value_heads'] * head
    feed = config['intermediate_size']
    head_json, blobs, offset = {'__metadata__': {'format': 'pt'}}, [], 0

    def add(name, shape, words):
        nonlocal offset
        blob = words.tobytes()
        head_json[name] = {'dtype': 'F16', 'shape': shape, 'data_offsets': [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)

    def rows(name, first, last):
        """Rows first to last of a matrix that the graph stores transposed, as [in, out]."""
        (inputs, outputs), words = weights[name]
        part = array('H')
        for row in range(first, last):
            part.extend(words[row::outputs])
        return [last - first, inputs], part

    add('model.embed_tokens.weight', *weights['embed'])
    for layer in range(config['num_hidden_layers']):
        prefix = f'model.layers.{layer}.'
        for name, source, first, last in (
                ('self_attn.q_proj', 'qkv', 0, queries),
                ('self_attn.k_proj', 'qkv', queries, queries + keys),
                ('self_attn.v_proj', 'qkv', queries + keys, queries + 2 * keys),
                ('self_attn.o_proj', 'o', 0, config['hidden_size']),
                ('mlp.gate_proj', 'gu', 0, feed),
                ('mlp.up_proj', 'gu', feed, 2 * feed),
                ('mlp.down_proj', 'down', 0, config['hidden_size'])):
            add(f'{prefix}{name}.weight', *rows(f'l{layer}_{source}', first, last))
        add(f'{prefix}input_layernorm.weight', *weights[f'l{layer}_n1'])
        add(f'{prefix}post_attention_layernorm.weight', *weights[f'l{layer}_n2'])
    add('model.norm.weight', *weights['norm'])
    text = json.dumps(head_json, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(os.path.join(folder, 'model.safetensors'), 'wb') as out:
        out.write(struct.pack('<Q', len(text)) + text + b''.join(blobs))


main(sys.argv[1])
