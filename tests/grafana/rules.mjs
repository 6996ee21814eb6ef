// What Grafana's types can't say: the layout, what a panel owes its reader, and names that must agree. Pure.

const COLUMNS = 24;

/** The units in use. Grafana shows an unknown unit as text behind the number and says nothing, so a slip is caught here. */
const UNITS = new Set([
  'none',
  's',
  'd',
  'bytes',
  'percentunit',
  'dateTimeFromNow',
  'suffix: /min',
  'suffix: probes',
  'suffix: x',
  'suffix: %',
]);

/** Variables that Grafana itself fills in: https://grafana.com/docs/grafana/latest/dashboards/variables/ */
const BUILT_IN = new Set(['__interval', '__rate_interval', '__range']);

/**
 * Problems of one dashboard.
 * @param {Record<string, any>} dashboard the parsed file
 * @returns {{path: string, message: string}[]} path as in `panels[3] "Title".gridPos`
 */
export function problemsOf(dashboard) {
  const panels = (dashboard.panels ?? []).map((panel, index) => ({ panel, path: pathOf(panel, index) }));
  return [
    headProblems(dashboard),
    ...panels.map(panelProblems),
    ...panels.map((each) => queryProblems(each, dashboard)),
    twinProblems(panels),
    layoutProblems(panels),
  ].flat();
}

/** Problems that only show when the dashboards are seen together. */
export function problemsBetween(dashboards) {
  const seen = new Map();
  return dashboards.flatMap(({ name, content }) => {
    const first = seen.get(content.uid);
    seen.set(content.uid, first ?? name);
    return first ? [{ name, path: 'uid', message: `"${content.uid}" is the uid of ${first} too` }] : [];
  });
}

/** How a panel is called in messages: its place and, so that a person finds it, its title. */
export function pathOf(panel, index) {
  return `panels[${index}]${panel.title ? ` "${panel.title}"` : ''}`;
}

const problem = (path, message) => ({ path, message });

const unless = (right, path, message) => (right ? [] : [problem(path, message)]);

function headProblems(dashboard) {
  const owed = ['uid', 'title', 'description', 'refresh', 'time', 'schemaVersion'];
  return [
    ...owed.flatMap((key) => unless(dashboard[key], key, 'is missing')),
    ...unless(dashboard.tags?.includes('tocsin'), 'tags', 'must include "tocsin", which the links between dashboards look for'),
    ...unless(dashboard.panels?.length, 'panels', 'there are none'),
  ];
}

function panelProblems({ panel, path }) {
  if (panel.type === 'row') return unless(panel.title, `${path}.title`, 'is missing');
  const defaults = panel.fieldConfig?.defaults;
  return [
    ...['id', 'title', 'description', 'gridPos'].flatMap((key) => unless(panel[key], `${path}.${key}`, 'is missing')),
    ...unless(defaults?.unit, `${path}.fieldConfig.defaults.unit`, 'is missing'),
    ...unless(defaults?.thresholds?.steps?.length, `${path}.fieldConfig.defaults.thresholds`, 'has no steps'),
    ...unitsIn(panel.fieldConfig).flatMap((unit) => unless(UNITS.has(unit), `${path}.fieldConfig`, unknownUnit(unit))),
    ...unless(isChosen(panel.datasource), `${path}.datasource`, NOT_CHOSEN),
    ...unless(panel.targets?.length, `${path}.targets`, 'there are none'),
  ];
}

function unitsIn(fieldConfig) {
  const properties = (fieldConfig?.overrides ?? []).flatMap((each) => each.properties);
  const overridden = properties.filter((each) => each.id === 'unit').map((each) => each.value);
  return [fieldConfig?.defaults?.unit, ...overridden].filter(Boolean);
}

const unknownUnit = (unit) => `unit "${unit}" is not one of ${[...UNITS].join(', ')} (tests/grafana/rules.mjs)`;

function queryProblems({ panel, path }, dashboard) {
  const declared = new Set((dashboard.templating?.list ?? []).map((each) => each.name));
  const refIds = (panel.targets ?? []).map((target) => target.refId);
  return (panel.targets ?? []).flatMap((target, index) => {
    const at = `${path}.targets[${index}]`;
    const unknown = variablesIn(target.expr ?? '').filter((name) => !declared.has(name) && !BUILT_IN.has(name));
    return [
      ...unless(
        refIds.indexOf(target.refId) === index,
        `${at}.refId`,
        `"${target.refId}" is taken by another query of this panel`,
      ),
      ...unless(target.expr?.trim(), `${at}.expr`, 'is empty'),
      ...unless(isChosen(target.datasource), `${at}.datasource`, NOT_CHOSEN),
      ...unless(
        target.format === 'table' || target.legendFormat,
        `${at}.legendFormat`,
        'is missing: the legend would show raw labels',
      ),
      ...unknown.map((name) => problem(`${at}.expr`, `$${name} is no variable of this dashboard`)),
    ];
  });
}

const NOT_CHOSEN = 'is missing, or is not the one chosen at the top: {type: prometheus, uid: ${datasource}}';

const isChosen = (datasource) => datasource?.type === 'prometheus' && datasource.uid === '${datasource}';

/** `$1` is what a regular expression of PromQL's own has found. */
const variablesIn = (text) => [...text.matchAll(/\$\{?([A-Za-z_]\w*)/g)].map((match) => match[1]);

function twinProblems(panels) {
  return ['id', 'title'].flatMap((key) => {
    const owners = new Map();
    return panels.flatMap(({ panel, path }) => {
      const first = owners.get(panel[key]);
      owners.set(panel[key], first ?? path);
      const alone = !first || panel[key] === undefined;
      return unless(alone, `${path}.${key}`, `${JSON.stringify(panel[key])} is the ${key} of ${first} too`);
    });
  });
}

/** The panels must fill 24 columns: none outside, none over another, and no hole, which Grafana would close by moving panels. */
function layoutProblems(panels) {
  const placed = panels.filter(({ panel }) => panel.gridPos);
  const outside = placed.filter(({ panel }) => !isInside(panel.gridPos));
  if (outside.length) return outside.map(outsideProblem);
  const cells = new Map();
  const overlaps = placed.flatMap((each) => overlapsOf(each, cells));
  return [...overlaps, ...holes(cells)];
}

const outsideProblem = ({ panel, path }) =>
  problem(`${path}.gridPos`, `${JSON.stringify(panel.gridPos)} does not fit ${COLUMNS} columns`);

const isInside = ({ x, y, w, h }) =>
  [x, y, w, h].every(Number.isInteger) && x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= COLUMNS;

function overlapsOf({ panel, path }, cells) {
  const under = new Set();
  const { x, y, w, h } = panel.gridPos;
  for (let row = y; row < y + h; row += 1) {
    for (let column = x; column < x + w; column += 1) {
      const cell = `${row}:${column}`;
      if (cells.has(cell)) under.add(cells.get(cell));
      cells.set(cell, path);
    }
  }
  return [...under].map((other) => problem(`${path}.gridPos`, `lies over ${other}`));
}

function holes(cells) {
  const bottom = Math.max(-1, ...[...cells.keys()].map((cell) => Number(cell.split(':')[0])));
  const rows = Array.from({ length: bottom + 1 }, (_, row) => row);
  return rows.flatMap((row) => {
    const free = Array.from({ length: COLUMNS }, (_, column) => column).filter((column) => !cells.has(`${row}:${column}`));
    return unless(free.length === 0, 'panels', `grid row ${row}: no panel in columns ${free[0]}..${free.at(-1)}`);
  });
}
