/** The cheapest HTTP/1.1 client that will do: one connection, one request at a time, no header objects. For load generators only. */
import { connect, type Socket } from 'node:net';

/** One answered request; times on the system's monotonic clock in nanoseconds. */
export interface RawAnswer {
  readonly status: number;
  readonly text: string;
  readonly sentAtNs: number;
  /** When the first text of the answer was there: the whole body where it is not a stream. */
  readonly firstAtNs: number;
  readonly doneAtNs: number;
}

const nowNs = () => Number(process.hrtime.bigint());

export class RawClient {
  readonly #socket: Socket;
  #onData: ((piece: string) => void) | null = null;
  #onFail: ((error: Error) => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (piece: string) => this.#onData?.(piece));
    socket.on('error', (error) => this.#onFail?.(error));
    socket.on('close', () => this.#onFail?.(new Error('the connection was closed')));
  }

  static async open(url: URL): Promise<RawClient> {
    const socket = connect(Number(url.port), url.hostname);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  /** Sends a whole request and waits for the end of its answer. @throws {Error} when the connection ends before */
  send(request: string): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      let text = '';
      let firstAtNs = 0;
      this.#onFail = reject;
      const sentAtNs = nowNs();
      this.#onData = (piece) => {
        text += piece;
        if (firstAtNs === 0 && /"content":"[^"]/.test(text)) firstAtNs = nowNs();
        if (!isWhole(text)) return;
        const doneAtNs = nowNs();
        this.#onData = null;
        this.#onFail = null;
        resolve({ status: Number(text.slice(9, 12)), text, sentAtNs, firstAtNs: firstAtNs || doneAtNs, doneAtNs });
      };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#onFail = null;
    this.#socket.destroy();
  }
}

function isWhole(text: string): boolean {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const length = /^content-length: *(\d+)\r$/im.exec(text.slice(0, head + 2));
  if (length) return text.length >= head + 4 + Number(length[1]);
  return text.endsWith('\r\n0\r\n\r\n');
}
