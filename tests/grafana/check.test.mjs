// The check must fail: each row breaks a good dashboard in one way, and says where that must be reported.
// All broken copies are compiled in one go, because the compiler's start is what takes the time.

import assert from 'node:assert/strict';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import { check, read } from './check.mjs';
import { problemsBetween } from './rules.mjs';

const DASHBOARDS = fileURLToPath(new URL('../../grafana/dashboards', import.meta.url));
const BUILD = fileURLToPath(new URL('build/test', import.meta.url));
const good = read(DASHBOARDS).find(({ name }) => name === 'thirdparties.json');

const at = (dashboard, type) => dashboard.panels.find((panel) => panel.type === type);

/** [what is wrong, how to make it so, the path it is reported at, words of the message] */
const BREAKAGES = [
  ['a key no dashboard has', (d) => (d.refreshh = '30s'), /^refreshh$/, /refreshh/],
  ['a key no panel has', (d) => (at(d, 'stat').colour = 'red'), /\.colour$/, /colour/],
  ['a key no grid position has', (d) => (at(d, 'stat').gridPos.z = 1), /\.gridPos\.z$/, /does not exist in type/],
  ['an option of another panel type', (d) => (at(d, 'stat').options.cellHeight = 'sm'), /\.options\.cellHeight$/, /cellHeight/],
  ['an option left out', (d) => delete at(d, 'state-timeline').options.rowHeight, /\.options$/, /rowHeight/],
  [
    'a custom field setting that the type lacks',
    (d) => (at(d, 'timeseries').fieldConfig.defaults.custom.lineWitdh = 2),
    /\.custom\.lineWitdh$/,
    /lineWitdh/,
  ],
  ['a number where a text belongs', (d) => (d.refresh = 30), /^refresh$/, /'number' is not assignable to type 'string'/],
  [
    'a text where a number belongs',
    (d) => (at(d, 'timeseries').fieldConfig.defaults.min = '0'),
    /\.defaults\.min$/,
    /'string' is not assignable to type 'number'/,
  ],
  ['a word that its enum lacks', (d) => (at(d, 'timeseries').options.legend.displayMode = 'tabel'), /\.legend\.displayMode$/, /"tabel"/],
  ['a number that its enum lacks', (d) => (d.templating.list[1].refresh = 7), /^templating\.list\[1\]\.refresh$/, /7/],
  ['a colour mode that does not exist', (d) => (at(d, 'stat').fieldConfig.defaults.color.mode = 'treshold'), /\.color\.mode$/, /"treshold"/],
  ['a cell type that does not exist', (d) => (at(d, 'table').fieldConfig.defaults.custom.cellOptions.type = 'colour'), /\.cellOptions/, /"colour"/],
  [
    'an override of a setting that does not exist',
    (d) => (at(d, 'table').fieldConfig.overrides[0].properties[0].id = 'custom.cellOption'),
    /\.overrides\[0\]\.properties\[0\]/,
    /custom\.cellOption/,
  ],
  [
    'an override with a value of the wrong type',
    (d) => at(d, 'table').fieldConfig.overrides[0].properties.push({ id: 'decimals', value: 'two' }),
    /\.overrides\[0\]\.properties\[2\]$/,
    /'string' is not assignable to type 'number'/,
  ],
  [
    'a mapping of a kind that does not exist',
    (d) => (at(d, 'table').fieldConfig.defaults.mappings[0].type = 'specal'),
    /\.mappings\[0\]/,
    /"specal"/,
  ],
  ['a transformation nobody knows', (d) => (at(d, 'table').transformations[0].id = 'merged'), /\.transformations\[0\]\.id$/, /"merged"/],
  ['a query key that Prometheus queries lack', (d) => (at(d, 'stat').targets[0].query = 'up'), /\.targets\[0\]\.query$/, /query/],
  ['a panel type that is not checked', (d) => (at(d, 'stat').type = 'piechart'), /^panels\[0\].*\.type$/, /"piechart"/],
  ['an annotation key that does not exist', (d) => (d.annotations.list[1].titelFormat = 'x'), /^annotations\.list\[1\]\.titelFormat$/, /titelFormat/],
  ['a panel without a title', (d) => delete d.panels[6].title, /^panels\[6\]\.title$/, /missing/],
  ['a panel without a description', (d) => (d.panels[6].description = ''), /^panels\[6\] "Verdict per provider"\.description$/, /missing/],
  ['a panel without a unit', (d) => delete d.panels[6].fieldConfig.defaults.unit, /\.unit$/, /missing/],
  ['a unit that Grafana lacks', (d) => (d.panels[6].fieldConfig.defaults.unit = 'secs'), /\.fieldConfig$/, /"secs"/],
  ['a panel without a data source', (d) => delete d.panels[6].datasource, /^panels\[6\].*\.datasource$/, /missing/],
  ['a panel without queries', (d) => (d.panels[6].targets = []), /^panels\[6\].*\.targets$/, /none/],
  ['a query of a variable that is not declared', (d) => (d.panels[6].targets[0].expr = 'up{job="$job"}'), /\.targets\[0\]\.expr$/, /\$job/],
  ['two panels of one id', (d) => (d.panels[1].id = d.panels[0].id), /^panels\[1\].*\.id$/, /is the id of panels\[0\]/],
  ['a panel over another', (d) => (d.panels[1].gridPos.x = 2), /^panels\[1\].*\.gridPos$/, /lies over panels\[0\]/],
  ['a hole in the grid', (d) => (d.panels[1].gridPos.w = 2), /^panels$/, /grid row 0: no panel in columns 6\.\.7/],
  ['a panel that leaves the grid', (d) => (d.panels[5].gridPos.x = 21), /^panels\[5\].*\.gridPos$/, /does not fit 24 columns/],
];

function broken([name, breakIt]) {
  const content = structuredClone(good.content);
  breakIt(content);
  return { name, content: { ...content, uid: name } };
}

const problems = check([{ ...good, name: 'untouched' }, ...BREAKAGES.map(broken)], BUILD);

test('the untouched dashboard has no problem', () => {
  assert.deepEqual(
    problems.filter((each) => each.name === 'untouched'),
    [],
  );
});

for (const [name, , path, message] of BREAKAGES) {
  test(`refused: ${name}`, () => {
    const own = problems.filter((each) => each.name === name);
    assert.ok(
      own.some((each) => path.test(each.path) && message.test(each.message)),
      `reported instead: ${JSON.stringify(own, null, 2)}`,
    );
  });
}

test('refused: two dashboards of one uid', () => {
  const twins = [good, { ...good, name: 'twin' }];
  assert.deepEqual(problemsBetween(twins), [{ name: 'twin', path: 'uid', message: `"${good.content.uid}" is the uid of ${good.name} too` }]);
});
