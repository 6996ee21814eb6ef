// Checks every dashboard of a folder (default: grafana/dashboards) against Grafana's published types and the rules in
// rules.mjs. Prints what was checked; ends with 1 and one line per problem, `dashboard: path: what is wrong`.
//
//     npm ci && node check.mjs [folder]

import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { problemsBetween, problemsOf } from './rules.mjs';
import { typeProblems } from './types.mjs';

const DASHBOARDS = fileURLToPath(new URL('../../grafana/dashboards', import.meta.url));
const BUILD = fileURLToPath(new URL('build/check', import.meta.url));

/**
 * @param {{name: string, content: any}[]} dashboards
 * @param {string} build folder for the generated TypeScript, below this one
 * @returns {{name: string, path: string, message: string}[]}
 */
export function check(dashboards, build) {
  const ruled = dashboards.flatMap(({ name, content }) => problemsOf(content).map((each) => ({ name, ...each })));
  return [...ruled, ...problemsBetween(dashboards), ...typeProblems(dashboards, build)];
}

/** The dashboards of a folder, by name of file; a file that is no JSON is named in the error. */
export function read(folder) {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort();
  if (names.length === 0) throw new Error(`no dashboard in ${folder}`);
  return names.map((name) => {
    try {
      return { name, content: JSON.parse(readFileSync(join(folder, name), 'utf8')) };
    } catch (error) {
      throw new Error(`${name}: ${error.message}`, { cause: error });
    }
  });
}

function main(folder) {
  const dashboards = read(folder);
  const problems = check(dashboards, BUILD);
  for (const { name, content } of dashboards) {
    const own = problems.filter((each) => each.name === name).length;
    console.log(`${name}: "${content.title}", ${content.panels?.length ?? 0} panels checked, ${own ? `${own} wrong` : 'right'}`);
  }
  for (const { name, path, message } of problems) console.error(`${name}: ${path}: ${message}`);
  return problems.length ? 1 : 0;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = main(process.argv[2] ?? DASHBOARDS);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 2;
  }
}
