// Unpacks the browser that @sparticuz/chromium carries compressed: node unpack.mjs PACKAGE_FOLDER TARGET_FOLDER
import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { brotliDecompressSync, createBrotliDecompress } from 'node:zlib';

const [source, target] = process.argv.slice(2);
mkdirSync(target, { recursive: true });
await pipeline(
  createReadStream(join(source, 'bin', 'chromium.br')),
  createBrotliDecompress(),
  createWriteStream(join(target, 'chromium'), { mode: 0o755 }),
);
// the libraries that a bare system lacks (NSS), and the software renderer
for (const name of ['al2023', 'swiftshader']) {
  const archive = brotliDecompressSync(readFileSync(join(source, 'bin', `${name}.tar.br`)));
  execFileSync('tar', ['x', '-C', target], { input: archive });
}
