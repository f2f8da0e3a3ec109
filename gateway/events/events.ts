/** How clients hear of events: the streams that are open, and the webhooks that are to be called. */
import { EventHub } from './event-hub.ts';
import type { WebhookCall } from './webhook-call.ts';
import { type SenderDeps, WebhookSender } from './webhook-sender.ts';

export interface EventsDeps extends Omit<SenderDeps, 'call'> {
  /** Without it nothing is sent: events wait. */
  readonly webhookCall?: WebhookCall;
}

export class Events {
  readonly hub: EventHub;
  readonly #sender: WebhookSender | null;
  readonly #background: EventsDeps['background'];

  constructor({ webhookCall, ...deps }: EventsDeps) {
    this.hub = new EventHub(deps.clock, deps.stopping);
    this.#sender = webhookCall ? new WebhookSender({ ...deps, call: webhookCall }) : null;
    this.#background = deps.background;
  }

  /** Something has happened: whoever reads is woken, whoever is to be called is called. */
  wake(): void {
    this.hub.wake();
    this.#background(this.run());
  }

  /** Begins the calls that are due. */
  async run(): Promise<void> {
    await this.#sender?.runDue();
  }
}
