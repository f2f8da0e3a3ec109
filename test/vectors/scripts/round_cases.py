"""Vectors of SPEC.md chapter 5: commitments, slots, padding, roots, permissions, openings, two roots."""
from independent_crypto import address, signature
from spec_rules import (commitment, digest, hx, member_leaf, pad_hash, padding, path, raw, root, roots_hash, round_leaves,
                        sha, slots, ZERO)
from vector_entries import entry, flipped, refused

PERMISSION = 'Permission(bytes32 roundId,uint32 index,bytes32 roundRoot)'
LOCAL = {'chainId': '0', 'verifyingContract': '0x' + '00' * 20}
CHAIN = {'chainId': '8453', 'verifyingContract': '0x' + '5a' * 20}
PROVIDER = '0x' + '11' * 20


def named(text):
    return sha(text.encode())


def opening(**change):
    base = {'jobId': hx(named('job')), 'index': 0, 'previous': hx(ZERO), 'previousRoot': hx(ZERO), 'tokenCount': 4,
            'last': False, 'tokensHash': hx(named('tokens')), 'evidenceRoot': hx(named('evidence')), 'salt': hx(named('salt'))}
    return {**base, **change}


def commitment_rows():
    cases = [('the first chunk', opening()), ('the last chunk', opening(last=True)), ('another salt', opening(salt=hx(ZERO))),
             ('a later chunk', opening(index=1, previous=hx(named('c0')), previousRoot=hx(named('r0')))),
             ('the largest counts', opening(index=2**32 - 1, tokenCount=2**32 - 1))]
    rows = [entry(n, '5.1', {'provider': PROVIDER, 'opening': o}, hx(commitment(PROVIDER, o))) for n, o in cases]
    other = '0x' + '12' * 20
    rows.append(entry('another provider', '5.1', {'provider': other, 'opening': opening()}, hx(commitment(other, opening()))))
    return rows + [refused('an index above uint32', '5.1', 'out_of_range', {'provider': PROVIDER, 'opening': opening(index=2**32)})]


def opening_rows():
    o = opening(index=1, previous=hx(named('c0')), previousRoot=hx(named('r0')))
    sound = {'provider': PROVIDER, 'opening': o, 'expected':
             {'commitment': hx(commitment(PROVIDER, o)), 'previous': o['previous'], 'previousRoot': o['previousRoot']}}
    rows = [entry('it fits', '5.4', sound, True)]
    for key in ('jobId', 'tokensHash', 'evidenceRoot', 'salt'):
        rows.append(refused(f'another {key}', '5.4', 'invalid_proof', {**sound, 'opening': {**o, key: flipped(o[key])}}))
    for key, value in (('index', 2), ('tokenCount', 5), ('last', True)):
        rows.append(refused(f'another {key}', '5.4', 'invalid_proof', {**sound, 'opening': {**o, key: value}}))
    rows.append(refused('another provider', '5.4', 'invalid_proof', {**sound, 'provider': flipped(PROVIDER)}))
    for key in ('commitment', 'previous', 'previousRoot'):
        changed = {**sound['expected'], key: flipped(sound['expected'][key])}
        rows.append(refused(f'another {key} expected', '5.4', 'invalid_proof', {**sound, 'expected': changed}))
    for key in ('previous', 'previousRoot'):
        # hashes to its own commitment, but continues another chain
        moved = {**o, key: hx(ZERO)}
        expected = {**sound['expected'], 'commitment': hx(commitment(PROVIDER, moved))}
        rows.append(refused(f'a consistent chain from another {key}', '5.4', 'invalid_proof',
                            {'provider': PROVIDER, 'opening': moved, 'expected': expected}))
    return rows


def round_rows():
    seed, round_id = named('pad'), named('round')
    rows, checks = [], []
    for members in (0, 1, 2, 5, 15):
        taken = slots(seed, round_id)[:members]
        present = {slot: named(f'c{slot}') for slot in taken}
        leaves = round_leaves(round_id, 3, seed, present)
        top = hx(root(leaves))
        paths = [[hx(h) for h in path(leaves, s)] for s in range(16)]
        given = {'roundId': hx(round_id), 'index': 3, 'padSeed': hx(seed),
                 'commitments': [[s, hx(c)] for s, c in sorted(present.items())]}
        rows.append(entry(f'{members} members', '5.2', given, {'root': top, 'paths': paths}))
        if members == 5:
            checks = permission_rows(round_id, top, taken, present, paths, hx(padding(seed, round_id, 3, 0)))
    return rows, checks


def permission_rows(round_id, top, taken, present, paths, pad):
    slot = taken[0]
    sound = {'round': {'roundId': hx(round_id), 'index': 3, 'roundRoot': top}, 'slot': slot,
             'commitment': hx(present[slot]), 'path': paths[slot]}
    rows = [entry(f'member in slot {s}', '5.3', {**sound, 'slot': s, 'commitment': hx(present[s]), 'path': paths[s]}, True) for s in taken]
    free = next(s for s in range(16) if s not in present)
    other = taken[1]
    bad = [('another round', {'round': {**sound['round'], 'roundId': flipped(hx(round_id))}}),
           ('another index', {'round': {**sound['round'], 'index': 4}}),
           ('another root', {'round': {**sound['round'], 'roundRoot': flipped(top)}}),
           ('the slot of another member', {'slot': other}), ('slot and path of another member', {'slot': other, 'path': paths[other]}),
           ('the commitment of another member', {'commitment': hx(present[other])}),
           ('a padding leaf as a commitment', {'slot': free, 'path': paths[free], 'commitment': pad}),
           ('a slot outside', {'slot': 16}), ('a short path', {'path': paths[slot][:3]}),
           ('a long path', {'path': paths[slot] + [hx(ZERO)]}), ('an empty path', {'path': []}),
           ('a path in another order', {'path': paths[slot][::-1]}),
           ('a changed path', {'path': [flipped(paths[slot][0])] + paths[slot][1:]})]
    # A tree of one leaf: the member leaf itself as root, which a check without the fixed width would accept at size 1.
    alone = hx(member_leaf(round_id, 3, slot, present[slot]))
    bad.append(('a round of one leaf', {'round': {**sound['round'], 'roundRoot': alone}, 'path': []}))
    return rows + [refused(n, '5.3', 'invalid_proof', {**sound, **change}) for n, change in bad]


def two_roots_rows():
    gateway, stranger, round_id = named('gateway key'), named('stranger key'), hx(named('round'))

    def signed(key, root_hash, index=2, domain=LOCAL):
        value = {'roundId': round_id, 'index': index, 'roundRoot': root_hash}
        return {'roundRoot': root_hash, 'signature': hx(signature(key, digest(domain, PERMISSION, value)))}
    one, two = hx(named('root one')), hx(named('root two'))
    base = {'roundId': round_id, 'index': 2, 'first': signed(gateway, one), 'second': signed(gateway, two)}
    rows = [entry('two roots by one gateway', '5.3', base, hx(address(gateway)))]
    bad = [('one root twice', {'second': signed(gateway, one)}), ('two gateways', {'second': signed(stranger, two)}),
           ('a root of another index', {'second': signed(gateway, two, index=3)}),
           ('a signature for another chain', {'second': signed(gateway, two, domain=CHAIN)}),
           ('a root that was not signed', {'second': {**signed(gateway, two), 'roundRoot': flipped(two)}})]
    return rows + [refused(n, '5.3', 'not_proven', {**base, **change}) for n, change in bad]


def rounds_file():
    seed, round_id = named('pad'), named('round')
    sealed, checks = round_rows()
    order = [entry(f'{n} seats', '5.2', {'padSeed': hx(seed), 'roundId': hx(round_id), 'seats': n}, slots(seed, round_id)[:n])
             for n in (1, 3, 15)]
    order.append(entry('another round', '5.2', {'padSeed': hx(seed), 'roundId': hx(ZERO), 'seats': 15}, slots(seed, ZERO)[:15]))
    order += [refused(f'{n} seats', '5.2', 'out_of_range', {'padSeed': hx(seed), 'roundId': hx(round_id), 'seats': n}) for n in (0, 16, 1.5)]
    roots = [named('r0'), named('r1')]
    listed = [entry(f'{len(r)} roots', '5.5', {'roots': [hx(x) for x in r]}, hx(roots_hash(r)))
              for r in ([], roots[:1], roots, roots[::-1])]
    leaf_rows = [entry(f'slot {s}', '5.2', {'roundId': hx(round_id), 'index': i, 'slot': s, 'commitment': hx(ZERO)},
                       hx(member_leaf(round_id, i, s, ZERO))) for i, s in ((0, 0), (0, 15), (2**32 - 1, 7))]
    pad_rows = [entry(f'slot {s}', '5.2', {'padSeed': hx(seed), 'roundId': hx(round_id), 'index': i, 'slot': s},
                      hx(padding(seed, round_id, i, s))) for i, s in ((0, 0), (0, 15), (9, 7))]
    return {'commitmentHash': commitment_rows(), 'openingFits': opening_rows(),
            'padHash': [entry('a seed', '5.2', {'padSeed': hx(seed)}, hx(pad_hash(seed)))],
            'memberSlots': order, 'roundLeaf': leaf_rows, 'paddingLeaf': pad_rows, 'sealRound': sealed,
            'commitmentInRound': checks, 'rootsHash': listed, 'signerOfTwoRoots': two_roots_rows()}
