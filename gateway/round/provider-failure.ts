/** How a provider fails a call: it said no, or said nothing that can be read. */
import { ProtocolError } from '#protocol/errors';

/** A refusal that the provider signed: a reason to skip it that an auditor can check. */
export interface RefusalEvidence {
  readonly code: string;
  readonly atMs: number;
  readonly signature: `0x${string}`;
}

/** A provider said no, or said nothing that can be read. */
export class ProviderFailure extends ProtocolError {
  readonly refusal: RefusalEvidence | null;

  constructor(
    code: 'provider_unreachable' | 'provider_malformed' | 'provider_refused',
    status: number,
    refusal: RefusalEvidence | null = null,
  ) {
    super(code, 'a provider did not do its part', { details: { status, refused: refusal?.code ?? null } });
    this.refusal = refusal;
  }
}
