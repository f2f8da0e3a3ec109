/** Reads request bodies within a limit. */
import { ProtocolError } from '#protocol/errors';

/**
 * The whole body of a request.
 * @param bytesMax most bytes that are read.
 * @throws {ProtocolError} `request_too_large`, or `client_closed` when the client leaves before the end
 */
export async function readBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? '0');
  if (declared > bytesMax) throw tooLarge(bytesMax);
  if (request.body === null) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    // A chunked body declares no length, so it is counted as it comes.
    for await (const part of request.body) {
      length += part.byteLength;
      if (length > bytesMax) throw tooLarge(bytesMax);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError('client_closed', 'The request body ended early.', { cause: error });
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts, length);
}

function tooLarge(bytesMax: number): ProtocolError {
  return new ProtocolError('request_too_large', `The request body is larger than ${bytesMax} bytes.`);
}
