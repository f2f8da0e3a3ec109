#!/usr/bin/env python3
"""Makes test/vectors/sampler.json and evidence.json from the rules of SPEC.md alone (Python 3 standard library).

Shares no code with the project: Philox, Gumbel noise, the restriction and the evidence are written here again, in the
plainest way (full sorts, 64-bit products). Inputs are float32 values, drawn by Python's own generator.
usage: python3 sampler_vectors.py FOLDER
"""
import base64
import json
import math
import random
import struct
import sys

M32 = 2**32 - 1


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & M32, (p0 >> 32) ^ c[3] ^ k[1], p0 & M32]
        k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
    return c


def gumbel(seed, position, v):
    seed &= 2**64 - 1
    x = philox([position, v >> 2, 0, 0], [seed & M32, seed >> 32])[v & 3]
    return -math.log(-math.log((x + 0.5) / 2**32))


def quantise(x):
    if math.isnan(x):
        return -2**31
    if math.isinf(x):
        return 2**31 - 1 if x > 0 else -2**31
    return max(-2**31, min(2**31 - 1, math.floor(x * 65536 + 0.5)))


def f32(x):
    return struct.unpack('<f', struct.pack('<f', x))[0]


def sample(logits, s, seed, position, counts):
    adjusted = []
    bias = dict(s['logitBias'])
    for v, logit in enumerate(logits):
        n = counts.get(v, 0)
        if n:
            logit = logit - s['presencePenalty'] - s['frequencyPenalty'] * n
        adjusted.append(quantise(logit + bias.get(v, 0)))
    t = s['temperature']
    order = sorted(range(len(adjusted)), key=lambda v: (-adjusted[v], v))
    kept, last, mass = order, -2**31, M32
    if t > 0 and (s['topK'] or s['topP'] < 1):
        high = adjusted[order[0]]
        w = [math.exp((a - high) / 65536 / t) for a in adjusted]
        total = 0.0
        for x in w:
            total += x
        if s['topK']:
            kept = order[:s['topK']]
        share = 0.0
        for v in kept:
            share += w[v]
        whole = share if s['topK'] and s['topP'] < 1 else total
        if s['topP'] < 1:
            wanted = s['topP'] * whole
            share, n = 0.0, 0
            while n < len(kept) and (n == 0 or share < wanted):
                share += w[kept[n]]
                n += 1
            kept = kept[:n]
        last, mass = adjusted[kept[-1]], M32 if len(kept) == len(order) else min(M32, math.floor(share / whole * M32))
    score = {v: adjusted[v] / 65536 + (t * gumbel(seed, position, v) if t else 0) for v in kept}
    best = sorted(kept, key=lambda v: (-score[v], v))[:8]
    top = [[v, adjusted[v]] for v in best]
    return {'chosen': best[0], 'chosenLogit': adjusted[best[0]], 'keptCount': len(kept), 'lastKeptLogit': last,
            'massQ32': mass, 'top': top}, score


def encode(position, e):
    out = struct.pack('>IIiIiIB', position, e['chosen'], e['chosenLogit'], e['keptCount'], e['lastKeptLogit'],
                      e['massQ32'], len(e['top']))
    return (out + b''.join(struct.pack('>Ii', *pair) for pair in e['top'])).hex()


def short(e, score):
    if len(e['top']) == 1:
        return [e['chosen'], M32]
    other = e['top'][1][0]
    return [other, max(0, min(M32, math.floor((score[e['chosen']] - score[other]) * 65536 + 0.5)))]


def leb(number):
    out = bytearray()
    while True:
        group, number = number % 128, number // 128
        out.append(group + (128 if number else 0))
        if not number:
            return bytes(out)


def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b'=').decode()


def packings(shorts):
    lists = [('no position', []), ('the smallest numbers', [[0, 0]]), ('the largest numbers', [[M32, M32]]),
             ('ends of each length', [[2**(7 * k) - 1, 2**(7 * k)] for k in range(1, 5)]),
             ('the positions of all encodings', shorts)]
    packed = [{'name': name, 'short': items, 'text': base64url(b''.join(leb(n) for item in items for n in item))}
              for name, items in lists]
    one = leb(300) + leb(5)
    refused = [('half a pair', leb(300)), ('a number that is cut short', one[:-1] + b'\x85'), ('a number above uint32', leb(2**32) + leb(5)),
               ('six groups', b'\x80\x80\x80\x80\x80\x01' + leb(5)), ('a second form of 0', b'\x80\x00' + leb(5)),
               ('a second form of 300', b'\xac\x82\x00' + leb(5))]
    texts = [('padding', base64url(one + one) + '=='), ('the other alphabet', '+' + base64url(one)[1:]), ('unused bits that are set', 'AAB'),
             ('one character', 'A'), ('a space', base64url(one) + ' ')]
    return packed, [{'name': name, 'text': base64url(raw)} for name, raw in refused] + [{'name': n, 'text': t} for n, t in texts]


BASE = dict(temperature=0, topP=1, topK=0, presencePenalty=0, frequencyPenalty=0, logitBias=[], stop=[])


def cases():
    r = random.Random(20261122)
    settings = [
        ('temperature 0 takes the largest logit', {}),
        ('temperature 0 ignores top-k and top-p', dict(topK=2, topP=0.1)),
        ('temperature 1 without restriction', dict(temperature=1)),
        ('temperature 2, the highest', dict(temperature=2)),
        ('temperature 0.01, the noise hardly counts', dict(temperature=0.01)),
        ('top-k 1 is argmax at any temperature', dict(temperature=1.5, topK=1)),
        ('top-k 5', dict(temperature=1, topK=5)),
        ('top-k above the vocabulary keeps everything', dict(temperature=1, topK=1000)),
        ('top-p 0.5', dict(temperature=1, topP=0.5)),
        ('top-p 0.95 at temperature 0.7', dict(temperature=0.7, topP=0.95)),
        ('tiny top-p keeps one token', dict(temperature=1, topP=1e-9)),
        ('top-p is taken of what top-k kept', dict(temperature=1, topK=20, topP=0.6)),
        ('presence and frequency penalties', dict(temperature=1, presencePenalty=1.5, frequencyPenalty=0.7)),
        ('negative penalties', dict(presencePenalty=-2, frequencyPenalty=-1.25)),
        ('bias forces a token', dict(temperature=1, logitBias=[[3, 100]])),
        ('bias bans tokens, penalties come first', dict(temperature=1, topP=0.9, frequencyPenalty=0.5,
                                                        logitBias=[[0, -100], [1, -100], [2, 0.25]])),
    ]
    seeds = [0, 1, 42, 2**63 - 1, 2**64 - 1, -1, -2**63, 0x0123456789ABCDEF]
    for name, change in settings:
        for k in range(4):
            n = [5, 37, 130, 300][k]
            s = dict(BASE, **change)
            s['logitBias'] = [b for b in s['logitBias'] if b[0] < n]
            logits = [f32(r.gauss(0, 4)) for _ in range(n)]
            if k == 2:  # many exact ties
                logits = [f32(round(x)) for x in logits]
            counts = {v: r.randint(1, 4) for v in r.sample(range(n), min(4, n))}
            yield f'{name} (vocabulary {n})', logits, s, r.choice(seeds), [0, 1, 777, 2**32 - 1][k], counts
    flat = [f32(r.gauss(0, 0.5)) for _ in range(300)]
    yield 'top-p of what top-k kept, where top-k cut off much', flat, dict(BASE, temperature=1, topK=20, topP=0.6), 3, 9, {}
    s = dict(BASE, temperature=1)
    yield 'logits that int32 of 2^-16 cannot hold are clamped', [1e9, -1e9, 32767.5, 40000.0], s, 7, 0, {}
    yield 'all logits equal: the noise alone decides', [0.5] * 16, s, 7, 3, {}
    yield 'all logits equal at temperature 0: the lowest id', [0.5] * 16, dict(BASE), 7, 3, {}
    yield 'halves of a unit round up', [0.5 / 65536, -0.5 / 65536, 1.5 / 65536, -1.5 / 65536], dict(BASE), 0, 0, {}
    yield 'a vocabulary of one', [-3.25], s, 9, 1, {}


def main(folder):
    kat = []
    for c, k in [([0] * 4, [0] * 2), ([M32] * 4, [M32] * 2),
                 ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0])]:
        kat.append({'counter': c, 'key': k, 'output': philox(c, k)})
    noise = [{'seed': str(seed), 'position': p, 'id': v, 'gumbel': gumbel(seed, p, v)}
             for seed in (0, 42, -1, 2**63) for p in (0, 5, 2**32 - 1) for v in (0, 3, 4, 151935)]
    choices, encodings = [], []
    for name, logits, s, seed, position, counts in cases():
        logits = [f32(x) for x in logits]
        e, score = sample(logits, s, seed, position, counts)
        choices.append({'name': name, 'input': {'logits': logits, 'sampling': s, 'seed': str(seed), 'position': position,
                        'outputCounts': sorted(counts.items())}, 'output': e})
        encodings.append({'name': name, 'position': position, 'evidence': e, 'temperature': s['temperature'],
                          'seed': str(seed), 'short': short(e, score), 'bytes': encode(position, e)})
    packed, unpackable = packings([item['short'] for item in encodings])
    for file, body in (('sampler', {'spec': 'assay-sampler/1', 'philox': kat, 'noise': noise, 'choices': choices}),
                       ('evidence', {'spec': 'evidence of one position', 'encodings': encodings,
                                     'packed': packed, 'unpackable': unpackable})):
        with open(f'{folder}/{file}.json', 'w') as out:
            json.dump(body, out, separators=(',', ':'))
            out.write('\n')


main(sys.argv[1])
