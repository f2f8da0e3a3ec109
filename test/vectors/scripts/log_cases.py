"""Vectors of SPEC.md chapters 8 and 9: keys, seeds and orders of draws; entries and checkpoints of the log."""
from independent_crypto import L as L_ORDER
from independent_crypto import address, ed25519_public, ed25519_sign, signature
from round_cases import CHAIN, LOCAL, named
from spec_rules import (b64, CHECKPOINT, digest, draw_key, draw_order, draw_seed, ED25519, EIP712, hx, jcs, key_leaves,
                        leaf, note_body, note_line, path, root, seats, sha, signed_lines, tagged, ZERO)
from vector_entries import entry, flipped, refused

MODEL, OTHER = hx(named('model')), hx(named('other model'))
STAKES = [5, 1, 0, 1000, 7, 0, 50]


def provider(i):
    return '0x' + f'{i + 1:02x}' * 20


def snapshot(**change):
    entries = [{'address': provider(i), 'operator': f'operator-{i // 2}', 'stakeNano': str(stake * 10**9),
                'modelDigests': [OTHER] if i == 6 else [MODEL]} for i, stake in enumerate(STAKES)]
    return {'capNano': str(100 * 10**9), 'entries': entries, **change}


def draw_file():
    secret = named('epoch secret')
    keys = [entry(f'epoch {e}, key {i}', '8', {'secret': hx(secret), 'epoch': e, 'index': i}, hx(draw_key(secret, e, i)))
            for e, i in ((0, 0), (0, 1), (1, 0), (2**32 - 1, 2**32 - 1))]
    trees, opened = [], []
    for size in (1, 2, 7):
        leaves = key_leaves(secret, 3, size)
        given = {'secret': hx(secret), 'epoch': 3, 'size': size}
        trees.append(entry(f'{size} keys', '8', given, {'root': hx(root(leaves)), 'paths': [[hx(h) for h in path(leaves, i)] for i in range(size)]}))
        sound = {'index': size - 1, 'key': hx(draw_key(secret, 3, size - 1)), 'path': [hx(h) for h in path(leaves, size - 1)],
                 'size': size, 'root': hx(root(leaves))}
        opened.append(entry(f'the last of {size}', '8', sound, True))
        bad = [('a chosen key', {'key': flipped(sound['key'])}), ('another root', {'root': flipped(sound['root'])}),
               ('another size', {'size': size + 8}), ('an index outside', {'index': size})]
        bad += [('the index of another key', {'index': 0}), ('a short path', {'path': sound['path'][:-1]})] if size > 1 else []
        opened += [refused(f'the last of {size}: {n}', '8', 'invalid_proof', {**sound, **change}) for n, change in bad]
    trees.append(refused('no keys', '8', 'out_of_range', {'secret': hx(secret), 'epoch': 3, 'size': 0}))
    seeds = [entry(n, '8', {'key': hx(named('key')), 'bodyHash': hx(named('body')), 'clientNonce': nonce},
                   hx(draw_seed(named('key'), named('body'), nonce)))
             for n, nonce in (('no nonce', None), ('an empty nonce counts as none', ''), ('a nonce', 'client-é'))]
    orders = []
    for n, snap in (('stakes, a cap, two without stake', snapshot()), ('nobody has a stake', snapshot(capNano='0')),
                    ('an empty registry', snapshot(entries=[]))):
        for i in range(3):
            seed = named(f'seed {i}')
            orders.append(entry(f'{n}, seed {i}', '8', {'snapshot': snap, 'modelDigest': MODEL, 'seed': hx(seed)}, draw_order(snap, MODEL, seed)))
    orders.append(entry('nobody serves the model', '8', {'snapshot': snapshot(), 'modelDigest': hx(ZERO), 'seed': hx(ZERO)}, []))
    order = draw_order(snapshot(), MODEL, named('seed 0'))
    picks = [entry(n, '8', {'order': order, 'snapshot': snapshot(), 'count': count, 'providers': p, 'operators': o},
                   seats(order, snapshot(), count, p, o))
             for n, count, p, o in (('three seats, one each', 3, [], []), ('more than there are operators', 9, [], []),
                                    ('a skipped provider', 3, [order[0]], []), ('a seated operator', 3, [], ['operator-1']))]
    return {'drawKey': keys, 'drawKeyTree': trees, 'drawKeyInTree': opened, 'drawSeed': seeds,
            'snapshotHash': [entry(n, '8', s, hx(tagged('assay/snapshot/1', jcs(s)))) for n, s in
                             (('a registry', snapshot()), ('another cap', snapshot(capNano='1')), ('nobody', snapshot(entries=[])))],
            'drawOrder': orders, 'seatsFrom': picks}


NOTE_KEY, CHAIN_KEY = named('note key'), named('chain key')
ORIGIN = 'gateway.example/log'


def entries():
    at, hash_ = 1767225600000, hx(named('hash'))
    return [{'type': 'epoch', 'epoch': 1, 'drawRoot': hash_, 'drawSize': 4096, 'snapshotHash': hash_, 'atMs': at},
            {'type': 'answer', 'requestId': 'chatcmpl-1', 'epoch': 1, 'drawIndex': 0, 'statementHash': hash_, 'atMs': at},
            {'type': 'aborted', 'requestId': 'chatcmpl-2', 'epoch': 1, 'drawIndex': 1, 'code': 'inconclusive', 'atMs': at},
            {'type': 'skip', 'provider': provider(0), 'reason': 'refused:queue_full', 'evidenceHash': hash_, 'atMs': at},
            {'type': 'dispute', 'disputeId': hash_, 'moveHash': hash_, 'kind': 'opened', 'atMs': at},
            {'type': 'key', 'keyId': 'gateway-1', 'use': 'gateway', 'value': provider(1), 'atMs': at},
            {'type': 'audit', 'epoch': 1, 'secret': hash_, 'atMs': at}]


def audited(share=True):
    at, hash_ = 1767225600000, hx(named('hash'))
    commitment = hx(tagged('assay/audit-commitment/1', named('audit secret')))
    return {'type': 'epoch', 'epoch': 1, 'drawRoot': hash_, 'drawSize': 4096, 'snapshotHash': hash_,
            'auditCommitment': commitment, **({'auditPpm': 20000} if share else {}), 'atMs': at}


def notes():
    size, top = 42, named('log root')
    body = note_body(ORIGIN, size, top)
    ed, chain = signed_lines(LOCAL, ORIGIN, NOTE_KEY, CHAIN_KEY, size, top)
    note = f'{body}\n{ed}{chain}'
    keys = {'origin': ORIGIN, 'ed25519': hx(ed25519_public(NOTE_KEY)), 'address': hx(address(CHAIN_KEY))}
    given = lambda text, **change: {'domain': LOCAL, 'keys': {**keys, **change}, 'note': text}
    output = {'size': size, 'root': hx(top)}
    witness = '\u2014 witness.example ' + b64(b'abcd' + bytes(64)) + '\n'
    good = [('both signatures', note), ('in the other order', f'{body}\n{chain}{ed}'), ('with a witness', note + witness)]
    rows = [entry(n, '9.2', given(text), output) for n, text in good]
    strange = named('another key')
    ed2, chain2 = signed_lines(LOCAL, ORIGIN, strange, strange, size, top)
    other_size = signed_lines(LOCAL, ORIGIN, NOTE_KEY, CHAIN_KEY, size + 1, top)
    far = signed_lines(CHAIN, ORIGIN, NOTE_KEY, CHAIN_KEY, size, top)[1]
    other = signed_lines(LOCAL, 'other.example', NOTE_KEY, CHAIN_KEY, size, top)
    # Another key's signature under the pinned key's id: ids are 4 bytes, and anybody can write them.
    forged_ed = note_line(ORIGIN, ED25519, ed25519_public(NOTE_KEY), ed25519_sign(strange, body.encode()))
    value = {'origin': ORIGIN, 'size': size, 'root': hx(top)}
    forged = note_line(ORIGIN, EIP712, address(CHAIN_KEY), signature(strange, digest(LOCAL, CHECKPOINT, value)))
    ed_sig = ed25519_sign(NOTE_KEY, body.encode())
    loose = ed_sig[:32] + (int.from_bytes(ed_sig[32:], 'little') + L_ORDER).to_bytes(32, 'little')
    bad = [('no Ed25519 line', f'{body}\n{chain}'), ('no EIP-712 line', f'{body}\n{ed}'), ('by another Ed25519 key', f'{body}\n{ed2}{chain}'),
           ('by another address', f'{body}\n{ed}{chain2}'), ('Ed25519 forged under the id', f'{body}\n{forged_ed}{chain}'),
           ('EIP-712 forged under the id', f'{body}\n{ed}{forged}'), ('Ed25519 of another size', f'{body}\n{other_size[0]}{chain}'),
           ('EIP-712 of another size', f'{body}\n{ed}{other_size[1]}'), ('EIP-712 of another domain', f'{body}\n{ed}{far}'),
           ('Ed25519 with s above the order', f'{body}\n{note_line(ORIGIN, ED25519, ed25519_public(NOTE_KEY), loose)}{chain}'),
           ('another size than signed', f'{note_body(ORIGIN, size + 1, top)}\n{ed}{chain}'),
           ('another root than signed', f'{note_body(ORIGIN, size, named("x"))}\n{ed}{chain}'),
           ('a short signature', f'{body}\n{ed}' + note_line(ORIGIN, EIP712, address(CHAIN_KEY), bytes(64)))]
    rows += [refused(n, '9.2', 'invalid_signature', given(text)) for n, text in bad]
    root64 = b64(top)
    respelt = root64[:-2] + next(c for c in 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
                                 if c != root64[-2] and same_bits(c, root64[-2])) + '='
    shapes = [('of another log', f'{note_body("other.example", size, top)}\n{other[0]}{other[1]}'), ('empty', ''), ('no empty line', f'{body}{ed}{chain}'),
              ('a size with a leading zero', note.replace('\n42\n', '\n042\n')), ('a negative size', note.replace('\n42\n', '\n-42\n')),
              ('a size above 2^53', note.replace('\n42\n', '\n9007199254740993\n')), ('a root of 31 bytes', note.replace(root64, b64(top[:31]))),
              ('a second spelling of the root', note.replace(root64, respelt)), ('an extension line', note.replace('\n\n', '\nextension\n\n')),
              ('carriage returns', note.replace('\n', '\r\n')), ('text after the signatures', note + 'more'), ('no last line feed', note[:-1]),
              ('17 signature lines', note + witness * 15), ('a hyphen for the dash', note.replace('\u2014', '-'))]
    rows += [refused(n, '9.2', 'malformed', given(text)) for n, text in shapes]
    rows.append(refused('read as another log', '9.2', 'malformed', given(note, origin='other.example')))
    signs = [entry(f'size {s}', '9.2', {'domain': d, 'origin': ORIGIN, 'noteKey': hx(NOTE_KEY), 'chainKey': hx(CHAIN_KEY), 'size': s, 'root': hx(top)},
                   note_body(ORIGIN, s, top) + '\n' + ''.join(signed_lines(d, ORIGIN, NOTE_KEY, CHAIN_KEY, s, top)))
             for s, d in ((0, LOCAL), (42, LOCAL), (2**53 - 1, CHAIN))]
    return signs, rows


def same_bits(a, b):
    alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    return alphabet.index(a) >> 2 == alphabet.index(b) >> 2


def log_file():
    signs, opens = notes()
    top = named('log root')
    named_entries = [(e['type'], e) for e in entries()] + [('epoch with audits', audited()), ('epoch that tries no scorers', audited(False))]
    return {'logLeaf': [entry(n, '9.1', e, hx(leaf(jcs(e)))) for n, e in named_entries],
            'checkpointHash': [entry(f'size {s}', '9.2', {'origin': ORIGIN, 'size': s, 'root': hx(top)}, hx(sha(note_body(ORIGIN, s, top).encode()))) for s in (0, 42)],
            'signCheckpoint': signs, 'openCheckpoint': opens}
