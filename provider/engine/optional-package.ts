/** Packages that only some engines need: they are loaded when asked for, and their absence is said in plain words. */
import { createRequire } from 'node:module';
import { EngineError } from './engine.ts';

/**
 * How a package is installed without scripts and without files for GPUs; the versions are those that were tested. In a checkout npm leaves out
 * what is only an optional peer there, and with it what the build needs: Node finds it in the folder above as well.
 */
export const OPTIONAL_PACKAGES = {
  'onnxruntime-web': 'npm install onnxruntime-web@1.30.0',
  'node-llama-cpp':
    'npm install --ignore-scripts --omit=optional node-llama-cpp@3.22.1 @node-llama-cpp/<platform>@3.22.1 (with --prefix .. in a checkout)',
} as const;
export type OptionalPackage = keyof typeof OPTIONAL_PACKAGES;

/**
 * @param load imports the package
 * @throws EngineError `engine_missing` where it is not installed, with the command that installs it; what `load` throws
 */
export async function importOptional<T>(
  name: OptionalPackage,
  load: () => Promise<T>,
  isInstalled: (name: string) => boolean = isResolvable,
): Promise<T> {
  // Asked beforehand: a package that is there but lacks one of its own parts is broken, not absent.
  if (isInstalled(name)) return load();
  throw new EngineError('engine_missing', `${name} is not installed: ${OPTIONAL_PACKAGES[name]}`);
}

function isResolvable(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}
