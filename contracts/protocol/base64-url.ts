/** base64url without padding (RFC 4648 section 5): one text for each byte string. */

/** Node's own encoder; absent in browsers, where the portable code below serves. */
const nodeBuffer = (globalThis as { Buffer?: { from(bytes: ArrayBufferLike, at: number, length: number): object } })
  .Buffer;

export function toBase64Url(bytes: Uint8Array): string {
  if (nodeBuffer) {
    const buffer = nodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.length) as {
      toString(encoding: string): string;
    };
    return buffer.toString('base64url');
  }
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @returns null where the text is not the one that `toBase64Url` gives for some bytes */
export function fromBase64Url(text: string): Uint8Array | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
  // Rejects a last character with unused bits set: one byte string, one text.
  return toBase64Url(bytes) === text ? bytes : null;
}
