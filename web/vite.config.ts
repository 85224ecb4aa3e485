import { type Plugin, type UserConfig, defineConfig } from 'vite';

const assets = {
  assetsInlineLimit: 0, // the content security policy allows no data: scripts, styles or fonts
  modulePreload: { polyfill: false },
  target: 'es2022',
  emptyOutDir: true,
};

/** A page is served below an address that the server chooses, so all its addresses are relative. */
function page(name: string): UserConfig {
  return { root: name, base: './', publicDir: 'public', build: { ...assets, outDir: `../dist/${name}` } };
}

/** Puts the types beside the client, under its own name. */
const types: Plugin = {
  name: 'types-entry',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: 'tourbillon.d.ts', source: "export * from './types/index.js';\n" });
  },
};

/** The browser client under a name that stays, for pages outside this repository. */
const sdk: UserConfig = {
  root: 'sdk',
  base: './',
  publicDir: false,
  plugins: [types],
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
