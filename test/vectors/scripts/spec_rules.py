"""The rules of contracts/protocol/SPEC.md chapters 1 to 5 and 8 to 10, written from their text (Python 3 standard library)."""
import base64
import hashlib
import hmac

from independent_crypto import address, ed25519_public, ed25519_sign, keccak256, signature

ZERO = bytes(32)


def sha(*parts):
    return hashlib.sha256(b''.join(parts)).digest()


def u8(x):
    return x.to_bytes(1, 'big')


def u32(x):
    return x.to_bytes(4, 'big')


def u64(x):
    return x.to_bytes(8, 'big')


def raw(text):
    return bytes.fromhex(text[2:])


def hx(data):
    return '0x' + data.hex()


def tagged(tag, *parts):
    return sha(tag.encode(), b'\0', *parts)


def tokens(tag, ids):
    return tagged(tag, u32(len(ids)), *map(u32, ids))


# §1 canonical JSON (RFC 8785)
ESCAPES = {'"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t'}


def number(x):
    """ECMAScript's Number::toString for what Python parsed."""
    x = float(x)
    if x == 0:
        return '0'
    sign, x = ('-', -x) if x < 0 else ('', x)
    mantissa, _, exponent = f'{x!r}'.partition('e')
    whole, _, fraction = mantissa.partition('.')
    digits = (whole + fraction).lstrip('0')
    point = len(whole) + int(exponent or 0)
    if whole == '0':
        point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip('0')
    k = len(digits)
    if k <= point <= 21:
        text = digits + '0' * (point - k)
    elif 0 < point <= 21:
        text = digits[:point] + '.' + digits[point:]
    elif -6 < point <= 0:
        text = '0.' + '0' * -point + digits
    else:
        e = point - 1
        text = digits[0] + ('.' + digits[1:] if k > 1 else '') + 'e' + ('+' if e >= 0 else '-') + str(abs(e))
    return sign + text


def canonical(value):
    if value is None:
        return 'null'
    if value is True or value is False:
        return 'true' if value else 'false'
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, str):
        value.encode()  # a lone surrogate has no UTF-8 form
        return '"' + ''.join(ESCAPES.get(c) or (f'\\u{ord(c):04x}' if c < ' ' else c) for c in value) + '"'
    if isinstance(value, list):
        return '[' + ','.join(map(canonical, value)) + ']'
    keys = sorted(value, key=lambda key: key.encode('utf-16-be'))
    return '{' + ','.join(f'{canonical(key)}:{canonical(value[key])}' for key in keys) + '}'


def jcs(value):
    return canonical(value).encode()


# §2 EIP-712
def words(type_string, value):
    name, _, rest = type_string.partition('(')
    out = [keccak256(type_string.encode())]
    for field in rest.rstrip(')').split(','):
        kind, key = field.split(' ')
        item = value[key]
        if kind == 'string':
            out.append(keccak256(item.encode()))
        elif kind in ('bytes32', 'address'):
            out.append(raw(item).rjust(32, b'\0'))
        else:
            out.append(int(item).to_bytes(32, 'big'))
    return b''.join(out)


def struct_hash(type_string, value):
    return keccak256(words(type_string, value))


DOMAIN = 'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'


def digest(domain, type_string, value):
    separator = struct_hash(DOMAIN, {'name': 'Assay', 'version': '1', **domain})
    return keccak256(b'\x19\x01' + separator + struct_hash(type_string, value))


def leaf(data):
    return sha(b'\0', data)


def node(a, b):
    return sha(b'\1', a, b)


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def root(leaves, join=node):
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return join(root(leaves[:k], join), root(leaves[k:], join))


def path(leaves, m, join=node):
    """RFC 6962 §2.1.1, PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(leaves[:k], m, join) + [root(leaves[k:], join)]
    return path(leaves[k:], m - k, join) + [root(leaves[:k], join)]


def consistency(leaves, m, whole=True):
    """RFC 6962 §2.1.2, SUBPROOF(m, D[n], b)."""
    if m == len(leaves):
        return [] if whole else [root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return consistency(leaves[:k], m, whole) + [root(leaves[k:])]
    return consistency(leaves[k:], m - k, False) + [root(leaves[:k])]


def commitment(provider, o):
    return tagged('assay/commitment/1', raw(o['jobId']), raw(provider), u32(o['index']), raw(o['previous']),
                  raw(o['previousRoot']), u32(o['tokenCount']), u8(1 if o['last'] else 0), raw(o['tokensHash']),
                  raw(o['evidenceRoot']), raw(o['salt']))


def pad_hash(seed):
    return tagged('assay/pad/1', seed)


def slots(seed, round_id):
    order = list(range(16))
    for i in range(15, 0, -1):
        j = int.from_bytes(tagged('assay/slots/1', seed, round_id, u8(i))[:8], 'big') % (i + 1)
        order[i], order[j] = order[j], order[i]
    return order


def member_leaf(round_id, index, slot, c):
    return sha(b'\0', round_id, u32(index), u8(slot), c)


def padding(seed, round_id, index, slot):
    return sha(b'\2', seed, round_id, u32(index), u8(slot))


def round_leaves(round_id, index, seed, commitments):
    return [member_leaf(round_id, index, s, commitments[s]) if s in commitments else padding(seed, round_id, index, s)
            for s in range(16)]


def roots_hash(roots):
    return tagged('assay/roots/1', u32(len(roots)), *roots)


def mac(key, *parts):
    return hmac.new(key, b''.join(parts), hashlib.sha256).digest()


def draw_key(secret, epoch, i):
    return mac(secret, b'assay/draw-key/1\0', u64(epoch), u32(i))


def key_leaves(secret, epoch, size):
    return [leaf(u32(i) + draw_key(secret, epoch, i)) for i in range(size)]


def draw_seed(key, body, nonce):
    return mac(key, b'assay/draw/1\0', body, sha((nonce or '').encode()))


def draw_order(snapshot, model, seed):
    cap = int(snapshot['capNano'])
    serving = [(e['address'], min(int(e['stakeNano']), cap)) for e in snapshot['entries'] if model in e['modelDigests']]
    order = []
    for pool in ([(a, w) for a, w in serving if w > 0], [(a, 1) for a, w in serving if w == 0]):
        while pool:
            point = int.from_bytes(mac(seed, u32(len(order))), 'big') % sum(w for _, w in pool)
            running = 0
            for at, (who, weight) in enumerate(pool):
                running += weight
                if running > point:
                    break
            order.append(who)
            del pool[at]
    return order


def seats(order, snapshot, count, providers=(), operators=()):
    operator = {e['address']: e['operator'] for e in snapshot['entries']}
    taken, out = set(operators), []
    for who in order:
        if len(out) < count and who not in providers and operator[who] not in taken:
            taken.add(operator[who])
            out.append(who)
    return out


# §9
CHECKPOINT = 'Checkpoint(string origin,uint64 size,bytes32 root)'
ED25519 = b'\x01'
EIP712 = b'\xffassay-eip712-secp256k1'


def b64(data):
    return base64.b64encode(data).decode()


def note_body(origin, size, root_hash):
    return f'{origin}\n{size}\n{b64(root_hash)}\n'


def key_id(origin, kind, public):
    return sha(origin.encode(), b'\n', kind, public)[:4]


def note_line(origin, kind, public, signed):
    return f'\u2014 {origin} {b64(key_id(origin, kind, public) + signed)}\n'


def signed_lines(domain, origin, note_key, chain_key, size, root_hash):
    value = {'origin': origin, 'size': size, 'root': hx(root_hash)}
    chain = signature(chain_key, digest(domain, CHECKPOINT, value))
    note = ed25519_sign(note_key, note_body(origin, size, root_hash).encode())
    return (note_line(origin, ED25519, ed25519_public(note_key), note),
            note_line(origin, EIP712, address(chain_key), chain))


# §10
CLAIM = ('Claim(bytes32 jobId,bytes32 ticketHash,bytes32 requestHash,bytes32 roundId,address provider,'
         'bytes32 transcriptHash,bytes32 lastCommitment,bytes32 rootsHash,uint32 chunkCount,uint32 outputTokens,'
         'uint8 finish,bytes32 checkpoint)')
SEAL = ('Attestation(string requestId,bytes32 requestHash,bytes32 contentHash,bytes32 claimsHash,uint8 verdict,'
        'uint64 logIndex,uint64 issuedAtMs,bytes32 statementHash)')
VERDICTS = ['agreed', 'equivalent', 'disputed', 'inconclusive', 'unverified']


def statement_hash(s):
    return tagged('assay/attestation-body/1', jcs(s))


def claims_hash(domain, claims):
    return tagged('assay/claims/1', u32(len(claims)), *(digest(domain, CLAIM, claim) for claim in claims))


def seal(domain, s):
    claims = [m['claim']['value'] for choice in [s, *s.get('choices', [])] for w in choice['waves'] for m in w['members'] if m['claim']]
    fields = {key: s[key] for key in ('requestId', 'requestHash', 'contentHash', 'logIndex', 'issuedAtMs')}
    return {**fields, 'claimsHash': hx(claims_hash(domain, claims)), 'verdict': VERDICTS.index(s['verdict']),
            'statementHash': hx(statement_hash(s))}


def b64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip('=')


def compact(domain, key, statement):
    return f'v1.{b64url(jcs(statement))}.{b64url(signature(key, digest(domain, SEAL, seal(domain, statement))))}'
