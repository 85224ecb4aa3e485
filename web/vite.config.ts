import { readFileSync } from 'node:fs';
import { type Plugin, type UserConfig, defineConfig } from 'vite';

const assets = {
  assetsInlineLimit: 0, // the content security policy allows no data: scripts, styles or fonts
  modulePreload: { polyfill: false },
  target: 'es2022',
  emptyOutDir: true,
};

/** A page is served below an address that the server chooses, so all its addresses are relative. */
function page(name: string): UserConfig {
  return { root: name, base: './', publicDir: '../base/public', build: { ...assets, outDir: `../dist/${name}` } };
}

/** Puts beside the client what makes it a package: its types under its own name, its description, its manual. */
const packageFiles: Plugin = {
  name: 'package-files',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: 'tourbillon.d.ts', source: "export * from './types/index.js';\n" });
    for (const file of ['sdk/package.json', 'sdk/README.md', '../LICENSE']) {
      const source = readFileSync(new URL(file, import.meta.url));
      this.emitFile({ type: 'asset', fileName: file.slice(file.lastIndexOf('/') + 1), source });
    }
  },
};

/** The browser client under a name that stays, for pages outside this repository. */
const sdk: UserConfig = {
  root: 'sdk',
  base: './',
  publicDir: false,
  plugins: [packageFiles],
  worker: { format: 'es', rolldownOptions: { output: { entryFileNames: '[name].js' } } },
  build: {
    ...assets,
    outDir: '../dist/sdk',
    rolldownOptions: {
      input: 'sdk/src/index.ts',
      preserveEntrySignatures: 'strict',
      output: { entryFileNames: 'tourbillon.js' },
    },
  },
};

export default defineConfig(({ mode }) => (mode === 'sdk' ? sdk : page(mode)));
