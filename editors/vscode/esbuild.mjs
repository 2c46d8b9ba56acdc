// Bundles the extension into dist/extension.js: node esbuild.mjs [--production] [--watch]
import { copyFileSync, mkdirSync } from 'node:fs';
import { context } from 'esbuild';

const production = process.argv.includes('--production');

// the walkthrough shows pictures 520 points wide: parts of the window, so that they can be read
mkdirSync('dist', { recursive: true });
for (const name of ['search', 'similar', 'status']) copyFileSync(`../../docs/images/vscode-step-${name}.png`, `dist/${name}.png`);

const build = await context({
  entryPoints: ['src/extension.ts'],
  outfile: 'dist/extension.js',
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20', // VS Code 1.91
  external: ['vscode'],
  minify: production,
  sourcemap: !production,
  logLevel: 'warning',
});
if (process.argv.includes('--watch')) {
  await build.watch();
} else {
  await build.rebuild();
  await build.dispose();
}
