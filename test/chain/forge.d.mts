/** Path of a tool's own binary, from the package of this platform. */
export function foundryBinary(tool: 'forge' | 'anvil'): string;
