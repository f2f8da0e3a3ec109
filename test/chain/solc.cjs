#!/usr/bin/env node
// solc for forge, over solcjs: npm has no native compiler. forge asks for --version and --standard-json only.
const { readFileSync } = require('node:fs');
const solc = require('solc');

const args = process.argv.slice(2);
if (args.includes('--version')) {
  // forge reads the version by its platform suffix.
  console.log(`solc, the solidity compiler\nVersion: ${solc.version().replace('.Emscripten.clang', '.Linux.g++')}`);
} else if (args.includes('--standard-json')) {
  process.stdout.write(solc.compile(readFileSync(0, 'utf8')));
} else {
  console.error(`unsupported: ${args.join(' ')}`);
  process.exit(1);
}
