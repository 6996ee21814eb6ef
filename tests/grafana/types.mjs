// Is each dashboard assignable to the type in dashboard.ts? Written as TypeScript literals and given to the compiler,
// because only a literal is refused for a key that its type does not have.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { pathOf } from './rules.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/**
 * @param {{name: string, content: any}[]} dashboards
 * @param {string} build folder to write to; emptied first; must lie below this one so that node_modules is found
 * @returns {{name: string, path: string, message: string}[]}
 */
export function typeProblems(dashboards, build) {
  rmSync(build, { recursive: true, force: true });
  mkdirSync(build, { recursive: true });
  const literals = new Map(dashboards.map((each, index) => [`dashboard${index}.ts`, { ...each, lines: literal(each.content) }]));
  const toHere = relative(build, HERE).replaceAll('\\', '/');
  for (const [file, { lines }] of literals) writeFileSync(join(build, file), source(lines, `${toHere}/dashboard`));
  writeFileSync(join(build, 'tsconfig.json'), JSON.stringify(settings([...literals.keys()]), null, 2));
  return errors(compile(build)).map((error) => located(error, literals));
}

function settings(files) {
  return {
    compilerOptions: {
      strict: true,
      noEmit: true,
      target: 'es2022',
      module: 'esnext',
      moduleResolution: 'bundler',
      skipLibCheck: true,
      types: [],
      noErrorTruncation: true,
    },
    files,
  };
}

/** The import takes the first line, so line n + 2 of the file is lines[n]. */
function source(lines, types) {
  const [first, ...rest] = lines;
  return [
    `import type { Dashboard } from '${types}'; export const dashboard: Dashboard =`,
    first.text,
    ...rest.map((line) => line.text),
    ';',
    '',
  ].join('\n');
}

/** The JSON value, one property or item a line, each line with the path of what stands on it. */
export function literal(value, path = '', indent = '', lead = '', tail = '') {
  if (value === null || typeof value !== 'object') return [{ path, text: `${indent}${lead}${JSON.stringify(value)}${tail}` }];
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const children = Object.entries(value).flatMap(([key, child]) =>
    Array.isArray(value)
      ? literal(child, `${path}[${key}]${titled(path, child)}`, `${indent}  `, '', ',')
      : literal(child, path ? `${path}.${key}` : key, `${indent}  `, `${JSON.stringify(key)}: `, ','),
  );
  return [{ path, text: `${indent}${lead}${open}` }, ...children, { path, text: `${indent}${close}${tail}` }];
}

const titled = (path, child) => (path === 'panels' ? pathOf(child, '').replace('panels[]', '') : '');

function compile(build) {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const run = spawnSync(process.execPath, [tsc, '--project', build, '--pretty', 'false'], {
    cwd: build,
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (run.error) throw run.error;
  if (run.status !== 0 && !run.stdout.includes('error TS'))
    throw new Error(`tsc ended with ${run.status ?? run.signal}: ${run.stdout}${run.stderr}`);
  return run.stdout;
}

/** tsc writes an error as `file(line,column): error TSn: text`, and goes on in indented lines from the general to the particular. */
function errors(output) {
  const found = [];
  for (const line of output.split('\n')) {
    const head = /^(?:(.+?)\((\d+),\d+\): )?error (TS\d+): (.*)$/.exec(line);
    if (head) found.push({ file: head[1], line: Number(head[2]), message: [`${head[4]} (${head[3]})`] });
    else if (found.length && line.trim()) found.at(-1).message.push(line.trim());
  }
  return found;
}

function located({ file, line, message }, literals) {
  const owner = literals.get(file);
  const text = message.map(shortened).join('\n      ');
  return owner
    ? { name: owner.name, path: owner.lines[line - 2]?.path ?? '', message: text }
    : { name: file ?? 'tsc', path: line ? `line ${line}` : '', message: text };
}

/** The compiler spells a type out at full length; its beginning says enough. */
const shortened = (text) => text.replace(/[^']{240,}/g, (long) => `${long.slice(0, 200)} ...`);
