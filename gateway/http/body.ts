/** Reads request bodies within a limit. */
import { ProtocolError } from '#protocol/errors';

/**
 * The whole body of a request.
 * @param bytesMax most bytes that are read.
 * @throws {ProtocolError} `request_too_large`, or `client_closed` when the client leaves before the end
 */
export async function readBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  const declared = request.headers.get('content-length');
  if (Number(declared ?? '0') > bytesMax) throw tooLarge(bytesMax);
  // A declared length is kept to by the HTTP parser, and spares the stream that a `body` is.
  if (declared !== null) return wholeBody(request, bytesMax);
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

async function wholeBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  const bytes = await request.arrayBuffer().catch((cause: unknown) => {
    throw new ProtocolError('client_closed', 'The request body ended early.', { cause });
  });
  if (bytes.byteLength > bytesMax) throw tooLarge(bytesMax);
  return new Uint8Array(bytes);
}

function tooLarge(bytesMax: number): ProtocolError {
  return new ProtocolError('request_too_large', `The request body is larger than ${bytesMax} bytes.`);
}
