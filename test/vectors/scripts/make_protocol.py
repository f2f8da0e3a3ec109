#!/usr/bin/env python3
"""Makes hashes.json, merkle.json, rounds.json, draw.json, log.json, attestation.json, logprobs.json and chain.json (Python 3 standard library).

Outputs come from spec_rules.py, which was written from SPEC.md; published values of RFC 6962 are asserted on the way.
A file is an object from the name of a rule to its entries {name, spec, expect, input, output}. `expect` is `success`,
or why the input must be refused; then `output` is null. Strings that begin with 0x are bytes.
usage: python3 make_protocol.py FOLDER
"""
import json
import sys

import independent_crypto
from attestation_cases import attestation_file
from chain_cases import chain_file
from log_cases import draw_file, log_file
from logprob_cases import logprobs_file
from round_cases import rounds_file
from spec_rules import (consistency, hx, jcs, leaf, number, path, raw, root, sha, tagged, tokens, u32, u64, ZERO)
from vector_entries import entry, flipped, refused

GREEDY = {'temperature': 0, 'topP': 1, 'topK': 0, 'presencePenalty': 0, 'frequencyPenalty': 0, 'logitBias': [], 'stop': []}
WARM = {'temperature': 0.7, 'topP': 0.95, 'topK': 40, 'presencePenalty': 0.5, 'frequencyPenalty': -2,
        'logitBias': [[3, -100], [50256, 1e-7]], 'stop': ['\n\n', 'é', '\U0001f600', '\u2028"\\']}
LISTS = [('no tokens', []), ('one token', [0]), ('order matters', [2, 1]), ('the other order', [1, 2]),
         ('the largest id', [2**32 - 1])]


def token_rules():
    def rows(tag, spec):
        out = [entry(name, spec, {'ids': ids}, hx(tokens(tag, ids))) for name, ids in LISTS]
        bad = [('an id above uint32', [2**32]), ('a negative id', [-1]), ('a fractional id', [0.5])]
        return out + [refused(name, spec, 'out_of_range', {'ids': ids}) for name, ids in bad]
    job = [entry(f'chunks {s}', '4.5', {'ids': s}, hx(tokens('assay/job/1', [0] + s))) for s in ([16], [4, 16, 64], [1])]
    return {'promptHash': rows('assay/prompt/1', '4.3'), 'outputHash': rows('assay/tokens/1', '4.3'), 'generateJobHash': job}


def body_rules():
    bodies = [('members in another order', {'b': 1, 'a': [True, None, 'x']}),
              ('keys by UTF-16 units', {'\ufb33': 1, '\U0001f600': 2, 'é': 3, '\r': 4, '1': 5, '': 6}),
              ('numbers', [1e21, 1e20, 1e-6, 1e-7, 5e-324, 0.1, -1.5, 4.50, 100, 333333333.33333329]),
              ('control characters', '\u0000\u001f\b\f\n\r\t"\\/\u007f'),
              ('an empty object', {}), ('64 levels', nested(64))]
    hashed = [entry(n, '1', {'value': b}, hx(tagged('assay/body/1', jcs(b)))) for n, b in bodies]
    text = [entry(n, '1', {'value': b}, jcs(b).decode()) for n, b in bodies]
    bad = [('a lone high surrogate', '\ud800'), ('a lone low surrogate in a key', {'\udc00': 1}), ('65 levels', nested(65))]
    for rows in (hashed, text):
        rows += [refused(n, '1', 'not_canonical', {'value': b}) for n, b in bad]
    return {'bodyHash': hashed, 'canonicalJson': text}


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def request_rules():
    parts = [sha(name.encode()) for name in ('c', 't', 'tc', 'gc', 'ct', 'w')]
    names = ['config', 'tokenizer', 'tokenizerConfig', 'generationConfig', 'chatTemplate', 'weights']
    without = parts[:3] + [ZERO, ZERO] + parts[5:]
    models = [entry(n, '4.3', {k: hx(v) for k, v in zip(names, p)}, hx(tagged('assay/model/1', *p)))
              for n, p in (('all files', parts), ('without the optional files', without),
                           ('two files exchanged', [parts[1], parts[0]] + parts[2:]))]
    weights = [entry('graph alone', '4.3', {'graph': hx(parts[0]), 'externalData': []}, hx(parts[0])),
               entry('graph and data', '4.3', {'graph': hx(parts[0]), 'externalData': [hx(parts[1]), hx(parts[2])]},
                     hx(sha(*parts[:3])))]
    sampling = [entry(n, '4.3', s, hx(tagged('assay/sampling/1', jcs(s)))) for n, s in (('greedy', GREEDY), ('warm', WARM))]
    scored = [entry(n, '4.5', {'promptIds': a, 'outputIds': b},
                    hx(tagged('assay/score/1', tokens('assay/prompt/1', a), tokens('assay/tokens/1', b))))
              for n, a, b in (('a transcript', [1, 2], [3]), ('the border moved', [1], [2, 3]))]
    seeds = [entry(f'seed {s}, choice {c}', '4.4', {'seed': str(s), 'choice': c},
                   str(s if c == 0 else int.from_bytes(tagged('assay/choice-seed/1', u64(s), u32(c))[:8], 'big')))
             for s, c in ((7, 0), (7, 1), (7, 2), (2**64 - 1, 1), (0, 127))]
    return {'modelDigest': models, 'weightsHash': weights, 'samplingHash': sampling, 'scoredHash': scored,
            'choiceSeed': seeds}


def content_rules():
    usage = {'prompt_tokens': 3, 'completion_tokens': 2, 'total_tokens': 5}
    choice = {'index': 0, 'role': 'assistant', 'content': 'hi', 'finish_reason': 'stop'}
    call = {'id': 'c1', 'type': 'function', 'function': {'name': 'f', 'arguments': '{"a": 1}'}}
    base = {'model': 'minnow-5m', 'choices': [choice], 'usage': usage}
    second = {'index': 1, 'role': 'assistant', 'tool_calls': [call], 'finish_reason': 'tool_calls'}
    rows = [('text', base, base),
            ('null and absent are one', {**base, 'choices': [{**choice, 'tool_calls': []}]}, base),
            ('choices by index', {**base, 'choices': [{**second, 'content': None}, choice]}, {**base, 'choices': [choice, second]}),
            ('fields that do not count', {**base, 'id': 'x', 'choices': [{**choice, 'logprobs': {'content': []}}]}, base)]
    out = [entry(n, '10.2', given, hx(sha(jcs(counted)))) for n, given, counted in rows]
    out.append(refused('a lone surrogate', '10.2', 'not_canonical', {**base, 'choices': [{**choice, 'content': '\ud83d'}]}))
    return {'contentHash': out}


RFC_INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
RFC_ROOTS = '''6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125
aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77
d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7
4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4
76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef
ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c
5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'''.split()
RFC_PATH_0_8 = '''96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7
5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e
6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4'''.split()


def merkle_file():
    """The leaves and roots of Google's certificate-transparency test suite for RFC 6962."""
    data = [bytes.fromhex(t) for t in RFC_INPUTS]
    leaves = [leaf(d) for d in data]
    for size in range(1, 9):
        assert root(leaves[:size]).hex() == RFC_ROOTS[size - 1]
    assert [h.hex() for h in path(leaves, 0)] == RFC_PATH_0_8 == [h.hex() for h in consistency(leaves, 1)]
    given = lambda size: [hx(d) for d in data[:size]]
    roots = [entry('empty tree', '3', {'data': []}, hx(sha()))]
    roots += [entry(f'RFC 6962, {n} leaves', '3', {'data': given(n)}, hx(root(leaves[:n]))) for n in range(1, 9)]
    paths, checks, grows, extends = [], [], [], []
    for size, index in ((1, 0), (2, 1), (3, 2), (5, 1), (7, 6), (8, 0), (8, 5)):
        proof = [hx(h) for h in path(leaves[:size], index)]
        paths.append(entry(f'leaf {index} of {size}', '3', {'data': given(size), 'index': index}, proof))
        sound = {'leaf': hx(data[index]), 'index': index, 'size': size, 'path': proof, 'root': hx(root(leaves[:size]))}
        checks.append(entry(f'leaf {index} of {size}', '3', sound, True))
        checks += broken_proofs(f'leaf {index} of {size}', sound, size)
    paths += [refused('a leaf outside', '3', 'out_of_range', {'data': given(3), 'index': 3}),
              refused('a leaf of nothing', '3', 'out_of_range', {'data': [], 'index': 0})]
    for new, old in ((8, 1), (8, 6), (5, 2), (8, 4), (7, 3), (6, 6)):
        proof = [hx(h) for h in consistency(leaves[:new], old)]
        grows.append(entry(f'{old} to {new}', '3', {'data': given(new), 'size': old}, proof))
        sound = {'oldSize': old, 'oldRoot': hx(root(leaves[:old])), 'newSize': new, 'newRoot': hx(root(leaves[:new])), 'path': proof}
        extends.append(entry(f'{old} to {new}', '3', sound, True))
        bad = [('an old root from elsewhere', {'oldRoot': flipped(sound['oldRoot'])}),
               ('a new root from elsewhere', {'newRoot': flipped(sound['newRoot'])}),
               ('a hash too much', {'path': proof + [hx(ZERO)]}), ('an old size of zero', {'oldSize': 0}),
               ('an old size above the new one', {'oldSize': new + 1})]
        bad += [('a hash too few', {'path': proof[:-1]}), ('a hash of 31 bytes', {'path': proof[:-1] + [proof[-1][:-2]]})] if proof else []
        extends += [refused(f'{old} to {new}: {n}', '3', 'invalid_proof', {**sound, **change}) for n, change in bad]
    grows += [refused(f'from {s} of 3', '3', 'out_of_range', {'data': given(3), 'size': s}) for s in (0, 4)]
    return {'merkleRoot': roots, 'inclusionProof': paths, 'verifyInclusion': checks, 'consistencyProof': grows,
            'verifyConsistency': extends}


def broken_proofs(name, sound, size):
    proof = sound['path']
    bad = [('another leaf', {'leaf': sound['leaf'] + '00'}), ('another root', {'root': flipped(sound['root'])}),
           ('an index outside', {'index': size}), ('a negative index', {'index': -1}), ('size zero', {'size': 0}),
           ('a hash too much', {'path': proof + [hx(ZERO)]})]
    if proof:
        bad += [('a hash too few', {'path': proof[:-1]}), ('a changed hash', {'path': [flipped(proof[0])] + proof[1:]}),
                ('another place', {'index': sound['index'] ^ 1}), ('a hash of 31 bytes', {'path': [proof[0][:-2]] + proof[1:]})]
    return [refused(f'{name}: {n}', '3', 'invalid_proof', {**sound, **change}) for n, change in bad]


def main(folder):
    independent_crypto.self_check()
    assert number(333333333.33333329) == '333333333.3333333' and raw('0x00') == b'\0'
    files = {'hashes': {**token_rules(), **body_rules(), **request_rules(), **content_rules()}, 'merkle': merkle_file(),
             'rounds': rounds_file(), 'draw': draw_file(), 'log': log_file(), 'attestation': attestation_file(),
             'logprobs': logprobs_file(), 'chain': chain_file()}
    for name, rules in files.items():
        with open(f'{folder}/{name}.json', 'w', encoding='utf-8') as out:
            out.write('{\n' + ',\n'.join(
                f'  "{rule}": [\n' + ',\n'.join('    ' + json.dumps(e) for e in rows) + '\n  ]' for rule, rows in rules.items()
            ) + '\n}\n')
        print(name, {rule: len(rows) for rule, rows in rules.items()})


if __name__ == '__main__':
    main(sys.argv[1])
