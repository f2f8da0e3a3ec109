"""Vectors of spec-chain.md C1 and C5: orders, shares, and the trees of what payees have earned."""
from independent_crypto import keccak256
from spec_rules import hx, path, raw, root, tagged, u32
from vector_entries import entry, flipped, refused


def named(n):
    return '0x' + f'{n:02x}' * 20


def earnings_leaf(payee, cumulative):
    return keccak256(b'\0' + raw(payee) + cumulative.to_bytes(16, 'big'))


def earnings_node(a, b):
    return keccak256(b'\1' + a + b)


def word(number):
    return number.to_bytes(32, 'big')


def root_id(e):
    return keccak256(raw(e['root']) + word(int(e['leafCount'])) + word(int(e['total'])) + word(int(e['logSize']))
                     + raw(e['logRoot']))[:26]


def tree(earnings):
    """By ascending address: payee and cumulative, root, total, and everybody's path."""
    listed = sorted(earnings)
    leaves = [earnings_leaf(*item) for item in listed]
    return (listed, root(leaves, earnings_node), sum(c for _, c in listed),
            [[hx(h) for h in path(leaves, i, earnings_node)] for i in range(len(leaves))])


def given(earnings):
    return {'earnings': [{'payee': p, 'cumulative': str(c)} for p, c in earnings]}


ONE = [(named(7), 5)]
THREE = [(named(9), 10**18), (named(1), 0), (named(0xff), 2**64)]
SEVEN = [(named(n), n * 1000 + 1) for n in (64, 2, 200, 17, 33, 5, 90)]
LARGEST = [(named(1), 2**128 - 1)]


def chain_file():
    leaves = [entry(f'payee {p[:6]}, {c}', 'C5', {'payee': p, 'cumulative': str(c)}, hx(earnings_leaf(p, c)))
              for p, c in THREE + LARGEST + [(named(0), 2**64 - 1)]]
    leaves += [refused('a negative amount', 'C5', 'out_of_range', {'payee': named(1), 'cumulative': '-1'}),
               refused('more than uint128', 'C5', 'out_of_range', {'payee': named(1), 'cumulative': str(2**128)}),
               refused('21 bytes', 'C5', 'out_of_range', {'payee': named(1) + '00', 'cumulative': '1'})]
    trees, places, ids = [], [], []
    for name, earnings in (('one', ONE), ('three', THREE), ('seven', SEVEN), ('the largest amount', LARGEST)):
        listed, top, total, paths = tree(earnings)
        trees.append(entry(name, 'C5', given(earnings), {'payees': [p for p, _ in listed], 'root': hx(top),
                                                        'total': str(total), 'paths': paths}))
        posted = {'root': hx(top), 'leafCount': str(len(listed)), 'total': str(total), 'logSize': str(len(name)),
                  'logRoot': hx(tagged('assay/order/1', name.encode()))}
        ids.append(entry(name, 'C5', posted, hx(root_id(posted))))
        at = len(listed) - 1
        sound = {'payee': listed[at][0], 'cumulative': str(listed[at][1]), 'leafIndex': at, 'path': paths[at], 'earnings': posted}
        places.append(entry(f'the last of {name}', 'C5', sound, True))
        bad = [('one unit off', {'cumulative': str(listed[at][1] ^ 1)}), ('another payee', {'payee': named(0xab)}),
               ('another place', {'leafIndex': at + 1}), ('another root', {'earnings': {**posted, 'root': flipped(posted['root'])}}),
               ('more leaves', {'earnings': {**posted, 'leafCount': str(len(listed) + 8)}})]
        places += [refused(f'the last of {name}: {n}', 'C5', 'invalid_proof', {**sound, **change}) for n, change in bad]
    trees += [refused('nobody', 'C5', 'out_of_range', given([])),
              refused('a payee twice', 'C5', 'out_of_range', given([(named(1), 1), (named(2), 1), (named(1), 2)])),
              refused('a sum above uint128', 'C5', 'out_of_range', given([(named(1), 2**128 - 1), (named(2), 1)]))]
    lists = [('nobody', []), ('one', [named(3)]), ('order matters', [named(3), named(2)]), ('the other order', [named(2), named(3)])]
    orders = [entry(n, 'C1', {'addresses': a}, hx(tagged('assay/order/1', u32(len(a)), *map(raw, a)))) for n, a in lists]
    rights = [entry(n, 'C1', {'addresses': a}, hx(keccak256(b''.join(raw(x).rjust(32, b'\0') for x in a)))) for n, a in lists]
    return {'earningsLeaf': leaves, 'earningsTree': trees, 'earningInTree': places, 'earningsRootId': ids,
            'orderHash': orders, 'rightHash': rights}
