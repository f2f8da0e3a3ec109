"""Vectors of SPEC.md §12.5: the hash of a chunk's log-probabilities, the salt that seals them, what is malformed, what is attested."""
import math

from round_cases import named
from spec_rules import hx, jcs, sha, tagged, tokens, u32, u8
from vector_entries import entry, refused

# Two's complement of 32 bits, from the text: "i32".
i32 = lambda q: q.to_bytes(4, 'big', signed=True)
HALF = -45426  # floor(2^16 · ln(1/2) + 0.5)
LEAST = -2**31


def logprobs_hash(chunk):
    parts = [i32(chosen) + u8(len(top)) + b''.join(u32(v) + i32(q) for v, q in top) for chosen, top in chunk]
    return tagged('assay/logprobs/1', u32(len(chunk)), *parts)


def salt(inner, chunk):
    return tagged('assay/logprob-salt/1', inner, logprobs_hash(chunk))


def is_sound(token, chosen, top, vocab):
    q, listed = token
    ids = [v for v, _ in listed]
    order = [(-p, v) for v, p in listed]
    if len(listed) != min(top, vocab) or len(set(ids)) != len(ids) or any(v >= vocab for v in ids) or order != sorted(order):
        return False
    own = dict(listed).get(chosen)
    if own is not None and own != q or own is None and listed and q > listed[-1][1]:
        return False
    return sum(math.exp(p / 2**16) for _, p in listed) <= 1 + 1e-4


CHUNKS = [('no tokens', []), ('no alternatives', [[HALF, []]]), ('certain', [[0, [[7, 0]]]]), ('impossible', [[LEAST, [[7, 0]]]]),
          ('two alternatives', [[HALF, [[3, HALF], [9, HALF]]]]), ('the alternatives exchanged', [[HALF, [[9, HALF], [3, HALF]]]]),
          ('two tokens', [[HALF, []], [-1, [[0, -1]]]]), ('the other order', [[-1, [[0, -1]]], [HALF, []]]),
          ('a border moved', [[HALF, [[0, -1]]], [-1, []]]), ('the largest id', [[LEAST, [[2**32 - 1, -1]]]]),
          ('twenty alternatives', [[-2**20, [[v, -2**18 - v] for v in range(20)]]])]

SOUND = [('chosen first', [HALF, [[3, HALF], [9, -60000]]], 3, 2, 100), ('chosen below the list', [-70000, [[3, HALF], [9, -60000]]], 5, 2, 100),
         ('chosen as good as the last, and not listed', [-60000, [[3, HALF], [9, -60000]]], 50, 2, 100),
         ('none ordered', [HALF, []], 3, 0, 100), ('a vocabulary of two', [HALF, [[0, HALF], [1, HALF]]], 1, 20, 2),
         ('a tie by id', [HALF, [[3, HALF], [9, HALF]]], 9, 2, 100), ('a sum just within', [-1, [[3, -1], [9, -642000]]], 3, 2, 100)]
BROKEN = [('one alternative too few', [HALF, [[3, HALF]]], 3, 2, 100), ('one too many', [HALF, [[3, HALF], [9, -60000], [1, -70000]]], 3, 2, 100),
          ('an id twice', [HALF, [[3, HALF], [3, -60000]]], 3, 2, 100), ('an id outside the vocabulary', [HALF, [[3, HALF], [100, -60000]]], 3, 2, 100),
          ('ascending', [HALF, [[9, -60000], [3, HALF]]], 3, 2, 100), ('a tie against the ids', [HALF, [[9, HALF], [3, HALF]]], 3, 2, 100),
          ('chosen with another value', [-1000, [[3, HALF], [9, -60000]]], 3, 2, 100),
          ('chosen left out above the last', [-50000, [[3, HALF], [9, -60000]]], 5, 2, 100),
          ('more than one in sum', [-20000, [[3, -20000], [9, -20000]]], 3, 2, 100), ('two certain ones', [0, [[3, 0], [9, 0]]], 3, 2, 100)]

CHAT = {'content': [{'token': 'é', 'logprob': HALF / 2**16, 'bytes': [195, 169], 'top_logprobs': []}], 'refusal': None}
TEXT = {'tokens': [' a', '\n'], 'token_logprobs': [HALF / 2**16, -1 / 2**16], 'top_logprobs': [{' a': HALF / 2**16}, {'\n': -1 / 2**16}],
        'text_offset': [0, 2]}


def logprobs_file():
    assert i32(-1) == b'\xff' * 4 and i32(LEAST) == b'\x80\0\0\0'
    assert HALF == math.floor(2**16 * math.log(0.5) + 0.5)
    judged = lambda row: {'token': row[1], 'chosen': row[2], 'top': row[3], 'vocabSize': row[4]}
    assert all(is_sound(*row[1:]) for row in SOUND) and not any(is_sound(*row[1:]) for row in BROKEN)
    hashes = [entry(n, '12.5', {'tokens': c}, hx(logprobs_hash(c))) for n, c in CHUNKS]
    hashes += [refused(n, '12.5', 'out_of_range', {'tokens': c})
               for n, c in (('an id above uint32', [[0, [[2**32, 0]]]]), ('a negative id', [[0, [[-1, 0]]]]))]
    salts = [entry(f'{n}, {name}', '12.5', {'inner': hx(named(name)), 'tokens': c}, hx(salt(named(name), c)))
             for name in ('one', 'another') for n, c in CHUNKS[:4]]
    jobs = [entry(f'{k} alternatives, chunks {s}', '4.5', {'top': k, 'chunkSizes': s}, hx(tokens('assay/job/1', [1, k] + s)))
            for k, s in ((0, [16]), (5, [16]), (20, [4, 16, 64]), (16, [0]))]
    shown = [('chat', [(0, CHAT)]), ('text', [(0, TEXT)]), ('no choices', []), ('two choices', [(0, TEXT), (1, CHAT)])]
    objects = lambda pairs: [{'index': i, 'logprobs': v} for i, v in pairs]
    attested = [entry(n, '12.5', {'choices': objects(p)}, hx(sha(jcs(objects(p))))) for n, p in shown]
    attested.append(entry('by index', '12.5', {'choices': objects([(1, CHAT), (0, TEXT)])}, attested[-1]['output']))
    lone = [(0, {**TEXT, 'tokens': ['\ud800', '\n']})]
    attested.append(refused('a lone surrogate', '12.5', 'not_canonical', {'choices': objects(lone)}))
    return {'logprobsHash': hashes, 'logprobSalt': salts, 'logprobsJobHash': jobs, 'shownLogprobsHash': attested,
            'soundLogprobs': [entry(row[0], '12.5', judged(row), True) for row in SOUND]
            + [refused(row[0], '12.5', 'malformed', judged(row)) for row in BROKEN]}
