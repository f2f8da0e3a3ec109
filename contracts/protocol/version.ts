/** Protocol version and the domain-separation tags of every hash (SPEC.md §1). */

/** Version of the wire protocol; part of the EIP-712 domain. */
export const PROTOCOL_VERSION = '1';
