/** When a client leaves before its answer. */
import { ProtocolError } from '#protocol/errors';

export interface ClientLeft {
  readonly controller: AbortController;
  /** Stops listening; call it when the request's own signal has nothing more to say. */
  release(): void;
}

/**
 * A controller that aborts with the request's signal.
 * SAFETY: the listener knows nothing but the controller. Node 20 keeps a signal, with its listeners, as long as a Request that was
 * made with it: one that knows its request is kept with it for ever, 30 KB an answer.
 */
export function clientLeft({ signal }: Request): ClientLeft {
  const controller = new AbortController();
  const onAbort = () => controller.abort(new ProtocolError('client_closed', 'The client has left.'));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return { controller, release: () => signal.removeEventListener('abort', onAbort) };
}
