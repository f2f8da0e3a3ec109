"""Hashes and signatures from their own specifications (Python 3 standard library); shares no code with the project.

Keccak-256: "The Keccak reference" 3.0, rate 1088, padding 0x01. ECDSA: SEC 1 v2 §4.1 over secp256k1 with the nonces of
RFC 6979 §3.2 and low s (EIP-2). Ed25519: RFC 8032 §5.1. Slow, and not in constant time: for vectors only.
"""
import hashlib
import hmac

MASK = (1 << 64) - 1


def _rol(x, n):
    n %= 64
    return ((x << n) | (x >> (64 - n))) & MASK if n else x


def _permute(a):
    lfsr = 1
    for _ in range(24):
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[(x + 4) % 5] ^ _rol(c[(x + 1) % 5], 1) for x in range(5)]
        a = [[a[x][y] ^ d[x] for y in range(5)] for x in range(5)]
        x, y, current = 1, 0, a[1][0]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, a[x][y] = a[x][y], _rol(current, (t + 1) * (t + 2) // 2)
        for y in range(5):
            row = [a[x][y] for x in range(5)]
            for x in range(5):
                a[x][y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5] & MASK)
        for j in range(7):
            lfsr = ((lfsr << 1) ^ ((lfsr >> 7) * 0x71)) % 256
            if lfsr & 2:
                a[0][0] ^= 1 << ((1 << j) - 1)
    return a


def keccak256(data):
    rate = 136
    padded = bytearray(data) + bytearray(rate - len(data) % rate)
    padded[len(data)] ^= 0x01
    padded[-1] ^= 0x80
    a = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), rate):
        for i in range(rate // 8):
            a[i % 5][i // 5] ^= int.from_bytes(padded[start + 8 * i:start + 8 * i + 8], 'little')
        a = _permute(a)
    return b''.join(a[i % 5][i // 5].to_bytes(8, 'little') for i in range(4))


P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)


def _add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(k, point):
    out = None
    while k:
        if k & 1:
            out = _add(out, point)
        point = _add(point, point)
        k >>= 1
    return out


def address(key):
    x, y = _times(int.from_bytes(key, 'big'), G)
    return keccak256(x.to_bytes(32, 'big') + y.to_bytes(32, 'big'))[12:]


def _nonce(key, digest):
    h1 = (int.from_bytes(digest, 'big') % N).to_bytes(32, 'big')
    mac = lambda k, m: hmac.new(k, m, hashlib.sha256).digest()
    v, k = b'\x01' * 32, b'\x00' * 32
    for separator in (b'\x00', b'\x01'):
        k = mac(k, v + separator + key + h1)
        v = mac(k, v)
    while True:
        v = mac(k, v)
        candidate = int.from_bytes(v, 'big')
        if 0 < candidate < N:
            return candidate
        k = mac(k, v + b'\x00')
        v = mac(k, v)


def ecdsa_sign(key, digest):
    """r, s, v of SPEC §2."""
    k = _nonce(key, digest)
    x, y = _times(k, G)
    r = x % N
    s = pow(k, -1, N) * (int.from_bytes(digest, 'big') + r * int.from_bytes(key, 'big')) % N
    recovery = y & 1
    if s > N // 2:
        s, recovery = N - s, recovery ^ 1
    return r, s, 27 + recovery


def signature(key, digest):
    r, s, v = ecdsa_sign(key, digest)
    return r.to_bytes(32, 'big') + s.to_bytes(32, 'big') + bytes([v])


# Ed25519, after the sample code of RFC 8032 §6
Q = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q
BY = 4 * pow(5, -1, Q) % Q


def _recover_x(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, Q)
    x = pow(x2, (Q + 3) // 8, Q)
    if (x * x - x2) % Q:
        x = x * pow(2, (Q - 1) // 4, Q) % Q
    return Q - x if x & 1 != sign else x


B = (_recover_x(BY, 0), BY)


def _ed_add(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, Q) % Q, (y1 * y2 + x1 * x2) * pow(1 - t, -1, Q) % Q


def _ed_times(k, point):
    out = (0, 1)
    while k:
        if k & 1:
            out = _ed_add(out, point)
        point = _ed_add(point, point)
        k >>= 1
    return out


def _encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, 'little')


def _expand(seed):
    h = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(h[:32], 'little') & ((1 << 254) - 8) | (1 << 254)
    return scalar, h[32:]


def ed25519_public(seed):
    return _encode(_ed_times(_expand(seed)[0], B))


def ed25519_sign(seed, message):
    scalar, prefix = _expand(seed)
    public = _encode(_ed_times(scalar, B))
    number = lambda data: int.from_bytes(hashlib.sha512(data).digest(), 'little') % L
    r = number(prefix + message)
    big_r = _encode(_ed_times(r, B))
    return big_r + ((r + number(big_r + public + message) * scalar) % L).to_bytes(32, 'little')


def self_check():
    """Published values: Keccak team, RFC 8032 §7.1 (tests 1 and 2), EIP-55's and a well-known key's address."""
    assert keccak256(b'').hex() == 'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'
    assert keccak256(b'a' * 200) != keccak256(b'a' * 136)
    assert address(bytes.fromhex('ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')).hex() == \
        'f39fd6e51aad88f6f4ce6ab8827279cfffb92266'
    for seed, public, message, expected in (
        ('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
         'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', '',
         'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b'
         'd25bf5f0595bbe24655141438e7a100b'),
        ('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
         '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', '72',
         '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c'
         '387b2eaeb4302aeeb00d291612bb0c00'),
    ):
        key = bytes.fromhex(seed)
        assert ed25519_public(key).hex() == public
        assert ed25519_sign(key, bytes.fromhex(message)).hex() == expected


if __name__ == '__main__':
    self_check()
    print('all published values reached')
