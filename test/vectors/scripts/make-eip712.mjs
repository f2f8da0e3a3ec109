/**
 * Makes eip712.json with viem: struct hashes, digests and signatures of every type string in SPEC.md §2 and spec-chain.md C1,
 * which it reads.
 * Shares no code with the project. usage: node make-eip712.mjs FILE
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { hashStruct, hashTypedData, keccak256, stringToHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

function typeStringsOf(file, count) {
  const spec = readFileSync(new URL(`../../../contracts/protocol/${file}`, import.meta.url), 'utf8');
  const found = [...spec.matchAll(/^\| [^|]+ \| `([A-Z][A-Za-z]+\([^`]+\))` +\|$/gm)].map((match) => match[1]);
  // A table that cannot be read must not pass for a short one.
  if (found.length !== count) throw new Error(`${file} names ${found.length} structs`);
  return found;
}

const typeStrings = [...typeStringsOf('SPEC.md', 14), ...typeStringsOf('spec-chain.md', 4)];
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const KEYS = [
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  keccak256(stringToHex('second key')),
];
const DOMAINS = [
  { chainId: '0', verifyingContract: `0x${'00'.repeat(20)}` },
  { chainId: '8453', verifyingContract: `0x${'5a'.repeat(20)}` },
  { chainId: (2n ** 64n - 1n).toString(), verifyingContract: `0x${'ff'.repeat(20)}` },
];
const MAX = { uint8: 2n ** 8n - 1n, uint32: 2n ** 32n - 1n, uint64: 2n ** 64n - 1n, uint128: 2n ** 128n - 1n };

function fieldsOf(typeString) {
  const [, name, list] = /^([A-Za-z]+)\((.*)\)$/.exec(typeString);
  return { name, fields: list.split(',').map((field) => ({ type: field.split(' ')[0], name: field.split(' ')[1] })) };
}

/** A value of a type in one of three flavours: zeros, the largest, something in between. Integers are decimal strings. */
function sampleOf({ type, name }, flavour) {
  const digest = keccak256(stringToHex(`${name} ${flavour}`));
  if (type === 'string') return flavour === 'zeros' ? '' : `${name} – é \u{1f600}`;
  if (type === 'bool') return flavour !== 'zeros';
  if (type === 'bytes32') return flavour === 'zeros' ? `0x${'00'.repeat(32)}` : digest;
  if (type === 'address') return flavour === 'zeros' ? `0x${'00'.repeat(20)}` : `0x${digest.slice(26)}`;
  if (flavour === 'zeros') return '0';
  return (flavour === 'largest' ? MAX[type] : BigInt(digest) % (MAX[type] + 1n)).toString();
}

const entry = (name, input, output) => ({ name, spec: '2', expect: 'success', input, output });
const refused = (name, why, input) => ({ name, spec: '2', expect: why, input, output: null });

async function structEntries() {
  const entries = [];
  for (const typeString of typeStrings) {
    const { name, fields } = fieldsOf(typeString);
    for (const [i, flavour] of ['zeros', 'between', 'largest'].entries()) {
      const value = Object.fromEntries(fields.map((field) => [field.name, sampleOf(field, flavour)]));
      const domain = DOMAINS[i];
      const account = privateKeyToAccount(KEYS[i % 2]);
      const types = { [name]: fields };
      const message = Object.fromEntries(
        fields.map((field) => [field.name, field.type in MAX ? BigInt(value[field.name]) : value[field.name]]),
      );
      const full = {
        name: 'Assay',
        version: '1',
        chainId: BigInt(domain.chainId),
        verifyingContract: domain.verifyingContract,
      };
      const digest = hashTypedData({ domain: full, types, primaryType: name, message });
      const output = {
        encodeType: typeString,
        structHash: hashStruct({ data: message, types, primaryType: name }),
        digest,
        address: account.address.toLowerCase(),
        signature: await account.sign({ hash: digest }),
      };
      entries.push(entry(`${name}, ${flavour}`, { struct: name, domain, value, key: KEYS[i % 2] }, output));
    }
    const value = Object.fromEntries(fields.map((field) => [field.name, sampleOf(field, 'between')]));
    for (const field of fields) {
      const bad = { ...value };
      if (field.type in MAX) bad[field.name] = (MAX[field.type] + 1n).toString();
      else if (field.type === 'bytes32' || field.type === 'address') bad[field.name] += '00';
      else continue;
      const input = { struct: name, domain: DOMAINS[0], value: bad, key: KEYS[0] };
      entries.push(refused(`${name}, ${field.name} outside ${field.type}`, 'out_of_range', input));
    }
  }
  return entries;
}

async function recoverEntries() {
  const digest = keccak256(stringToHex('a digest'));
  const account = privateKeyToAccount(KEYS[0]);
  const signature = await account.sign({ hash: digest });
  const word = (value) => value.toString(16).padStart(64, '0');
  const [r, s, v] = [signature.slice(2, 66), BigInt(`0x${signature.slice(66, 130)}`), signature.slice(130)];
  const otherV = v === '1b' ? '1c' : '1b';
  const bad = [
    ['high s', `0x${r}${word(ORDER - s)}${otherV}`],
    ['high s with the same v', `0x${r}${word(ORDER - s)}${v}`],
    ['v 0', `0x${r}${word(s)}00`],
    ['v 1', `0x${r}${word(s)}01`],
    ['v 29', `0x${r}${word(s)}1d`],
    ['r zero', `0x${word(0n)}${word(s)}${v}`],
    ['s zero', `0x${r}${word(0n)}${v}`],
    ['r equal to the order', `0x${word(ORDER)}${word(s)}${v}`],
    ['r above the field', `0x${'ff'.repeat(32)}${word(s)}${v}`],
    ['r that is no x of a point', `0x${word(5n)}${word(s)}${v}`],
    ['64 bytes', `0x${r}${word(s)}`],
    ['66 bytes', `${signature}00`],
    ['nothing', '0x'],
  ].map(([name, value]) => refused(name, 'invalid_signature', { digest, signature: value }));
  const short = refused('a digest of 31 bytes', 'invalid_signature', { digest: digest.slice(0, -2), signature });
  const long = refused('a digest of 33 bytes', 'invalid_signature', { digest: `${digest}00`, signature });
  return [entry('sound', { digest, signature }, account.address.toLowerCase()), ...bad, short, long];
}

const file = { typedDigest: await structEntries(), recover: await recoverEntries() };
const lines = Object.entries(file).map(
  ([name, entries]) => `  "${name}": [\n${entries.map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`,
);
writeFileSync(process.argv[2], `{\n${lines.join(',\n')}\n}\n`);
console.log(typeStrings.length, 'structs', file.typedDigest.length, file.recover.length);
