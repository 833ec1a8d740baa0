/**
 * Bundle web/page/main.js into the one script of the report, which is committed so that installing isopter never needs node.
 * `node build.mjs` writes it; `node build.mjs --check` fails where the committed file is not what the sources give.
 */

import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "src", "isopter", "report", "assets", "page.js");

async function bundled() {
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: ["page/main.js"],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    sourcemap: false,
    write: false,
    logLevel: "warning",
  });
  return Buffer.from(outputFiles[0].contents);
}

const fresh = await bundled();
if (process.argv.includes("--check")) {
  const committed = await readFile(target).catch(() => Buffer.alloc(0));
  if (!committed.equals(fresh)) {
    console.error("src/isopter/report/assets/page.js is stale: it is not what web/ gives. Run `make web` and commit the file.");
    process.exit(1);
  }
  console.log(`page.js is up to date, ${fresh.length} bytes`);
} else {
  await writeFile(target, fresh);
  console.log(`page.js written, ${fresh.length} bytes`);
}
