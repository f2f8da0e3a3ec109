/** The bytes of a Hugging Face tokenizer's tokens (tokenizer.json: `decoder`), without text clean-ups (SPEC.md, "Text"). */

import type { TokenBytes } from './detokenizer.ts';

/** The parts of tokenizer.json that matter here, already parsed. */
export interface Vocabulary {
  /** Token strings of the model by id. */
  readonly pieces: ReadonlyMap<number, string>;
  /** Strings of added tokens by id; they are literal text. */
  readonly added: ReadonlyMap<number, string>;
  /** Ids that never are text. */
  readonly silent: ReadonlySet<number>;
}

/** One step of tokenizer.json's `decoder`. */
export interface DecoderStep {
  readonly type: string;
  readonly pattern?: { readonly String?: string | undefined } | undefined;
  readonly content?: string | undefined;
  readonly start?: number | undefined;
  readonly stop?: number | undefined;
  readonly replacement?: string | undefined;
  readonly prepend_scheme?: string | undefined;
  readonly add_prefix_space?: boolean | undefined;
  readonly decoders?: readonly DecoderStep[] | undefined;
}

const NOTHING = new Uint8Array(0);
const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/**
 * Reads how a tokenizer turns tokens into bytes: byte-level BPE, or SentencePiece pieces with byte fallback.
 * @throws RangeError for decoders of other families, whose text does not come from bytes token by token.
 */
export function tokenBytes(decoder: DecoderStep | null, vocabulary: Vocabulary): TokenBytes {
  const steps = decoder === null ? [] : flatten(decoder);
  const convert = steps.some(({ type }) => type === 'ByteLevel') ? byteLevelBytes : pieceBytes(steps);
  const cache = new Map<number, Uint8Array>();
  const encoder = new TextEncoder();
  return {
    leadingSpaces: leadingSpacesOf(steps),
    bytesOf(id) {
      let bytes = cache.get(id);
      if (bytes === undefined) {
        const added = vocabulary.added.get(id);
        const piece = vocabulary.pieces.get(id);
        if (vocabulary.silent.has(id)) bytes = NOTHING;
        else if (added !== undefined) bytes = encoder.encode(added);
        else bytes = piece === undefined ? NOTHING : convert(piece);
        cache.set(id, bytes);
      }
      return bytes;
    },
  };
}

function flatten(step: DecoderStep): DecoderStep[] {
  return step.type === 'Sequence' ? (step.decoders ?? []).flatMap(flatten) : [step];
}

/** GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes for U+0100 and up, in order. */
const BYTE_OF_CHARACTER: ReadonlyMap<number, number> = (() => {
  const bytes = new Map<number, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    bytes.set(printable ? byte : next++, byte);
  }
  return bytes;
})();

function byteLevelBytes(piece: string): Uint8Array {
  const bytes = [...piece].map((character) => BYTE_OF_CHARACTER.get(character.codePointAt(0)!));
  // A piece outside the alphabet is literal text, as in the reference implementation.
  return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : new TextEncoder().encode(piece);
}

function pieceBytes(steps: readonly DecoderStep[]): (piece: string) => Uint8Array {
  const replacements: [from: string, to: string][] = [];
  let byteFallback = false;
  let known = steps.length > 0;
  for (const step of steps) {
    if (step.type === 'Replace' && step.pattern?.String !== undefined) {
      replacements.push([step.pattern.String, step.content ?? '']);
    } else if (step.type === 'Metaspace') {
      replacements.push([step.replacement ?? '\u2581', ' ']);
    } else if (step.type === 'ByteFallback') {
      byteFallback = true;
    } else if (step.type !== 'Fuse' && !isSpaceStrip(step)) {
      known = false;
    }
  }
  if (!known) throw new RangeError('the tokenizer has a decoder of an unsupported kind');
  const encoder = new TextEncoder();
  return (piece) => {
    const byte = byteFallback ? BYTE_TOKEN.exec(piece) : null;
    if (byte !== null) return Uint8Array.of(Number.parseInt(byte[1]!, 16));
    return encoder.encode(replacements.reduce((text, [from, to]) => text.replaceAll(from, to), piece));
  };
}

function isSpaceStrip(step: DecoderStep): boolean {
  return step.type === 'Strip' && step.content === ' ' && (step.stop ?? 0) === 0;
}

function leadingSpacesOf(steps: readonly DecoderStep[]): number {
  const strip = steps.find(isSpaceStrip);
  if (strip !== undefined) return strip.start ?? 0;
  const metaspace = steps.find(({ type }) => type === 'Metaspace');
  if (metaspace === undefined || metaspace.add_prefix_space === false) return 0;
  return metaspace.prepend_scheme === 'never' ? 0 : 1;
}
