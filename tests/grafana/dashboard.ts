// What a dashboard file may hold. Everything comes from Grafana's published types (@grafana/schema); the few shapes
// that package leaves open (`unknown`, or nothing at all) are closed here, each with the place it is taken from.

import type * as grafana from '@grafana/schema';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as stateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/**
 * `T` as JSON spells it. A TypeScript string enum refuses the very string that it stands for, and JSON has only the
 * string: each string enum becomes the union of its values (`${E}`), at every depth. Numeric enums take their numbers
 * as they are, and refuse others. `any` becomes `unknown`, so that nothing slips through it.
 */
type Loosen<T> = 0 extends 1 & T
  ? unknown
  : T extends string
    ? `${T}`
    : T extends readonly (infer Item)[]
      ? Loosen<Item>[]
      : T extends object
        ? { [Key in keyof T]: Loosen<T[Key]> }
        : T;

/** `Base` with the keys of `Closed` typed as there. One flat object type, so that an unknown key is named as such. */
type With<Base, Closed> = { [Key in keyof Omit<Base, keyof Closed>]: Base[Key] } & Closed;

/** Every panel and query asks the data source chosen at the top of the dashboard. */
type DataSource = { type: 'prometheus'; uid: '${datasource}' };

/** A Prometheus query: packages/grafana-prometheus/src/dataquery.ts of Grafana; @grafana/schema does not publish it. */
type PrometheusQuery = With<
  Loosen<grafana.DataQuery>,
  {
    datasource: DataSource;
    expr: string;
    editorMode?: 'code' | 'builder';
    exemplar?: boolean;
    format?: 'time_series' | 'table' | 'heatmap';
    instant?: boolean;
    interval?: string;
    legendFormat?: string;
    range?: boolean;
  }
>;

/** A link on a value: packages/grafana-data/src/types/dataLink.ts; the schema says `unknown`. */
type DataLink = { title: string; url: string; targetBlank?: boolean };

/** The matchers in use, of packages/grafana-data/src/transformations/matchers; the schema says `any`. */
type Matcher = { id: 'byName' | 'byRegexp' | 'byFrameRefID'; options: string };

/** The transformations in use, of packages/grafana-data/src/transformations/transformers; the schema says `any`. */
type Transformation =
  | { id: 'merge'; options: Record<string, never> }
  | { id: 'sortBy'; options: { fields: Record<string, never>; sort: { field: string; desc?: boolean }[] } }
  | {
      id: 'organize';
      options: {
        excludeByName: Record<string, boolean>;
        includeByName?: Record<string, boolean>;
        indexByName: Record<string, number>;
        renameByName: Record<string, string>;
      };
    };

/** How a field is shown. `Custom` is what the panel's own type adds: the schema would let any key through there. */
type Field<Custom> = With<Loosen<grafana.FieldConfig>, { custom?: Loosen<Custom>; links?: DataLink[] }>;

/** One property of an override: its id is a key of `Field`, or `custom.` and a key of `Custom`; its value has that key's type. */
type Property<Custom> =
  | { [Key in Exclude<keyof Field<Custom>, 'custom'>]-?: { id: Key; value: Field<Custom>[Key] } }[Exclude<
      keyof Field<Custom>,
      'custom'
    >]
  | { [Key in keyof Custom & string]-?: { id: `custom.${Key}`; value: Loosen<Custom[Key]> } }[keyof Custom & string];

type PanelOf<Type extends string, Options, Custom> = With<
  Loosen<grafana.Panel>,
  {
    type: Type;
    datasource?: DataSource;
    fieldConfig?: { defaults: Field<Custom>; overrides: { matcher: Matcher; properties: Property<Custom>[] }[] };
    options: Loosen<Options>;
    targets?: PrometheusQuery[];
    transformations?: Transformation[];
  }
>;

/** The panel types in use. A new one is a line here; a type that is not here is an error. */
type Panel =
  | PanelOf<'bargauge', bargauge.Options, Record<never, never>>
  | PanelOf<'stat', stat.Options, Record<never, never>>
  | PanelOf<'state-timeline', stateTimeline.Options, stateTimeline.FieldConfig>
  | PanelOf<'table', table.Options, table.FieldConfig>
  | PanelOf<'timeseries', timeseries.Options, timeseries.FieldConfig>;

/** Grafana's own annotations, or a Prometheus query: the last four keys are packages/grafana-prometheus/src/annotations.ts. */
type Annotation = With<
  Loosen<grafana.AnnotationQuery>,
  {
    datasource: DataSource | { type: 'grafana'; uid: '-- Grafana --' };
    target?: PrometheusQuery | (Omit<PrometheusQuery, 'datasource'> & { datasource?: never });
    tagKeys?: string;
    textFormat?: string;
    titleFormat?: string;
    useValueForTime?: boolean;
  }
>;

/** A variable asks Prometheus (packages/grafana-prometheus/src/types.ts, PromVariableQuery: 0 is label names, 1 label values) or chooses the data source. */
type Variable = With<
  Loosen<grafana.VariableModel>,
  {
    type: 'query' | 'datasource';
    datasource?: DataSource;
    query: string | { qryType: 0 | 1; query: string; refId: string };
  }
>;

export type Dashboard = With<
  Loosen<grafana.Dashboard>,
  {
    annotations?: { list?: Annotation[] };
    panels?: (Panel | Loosen<grafana.RowPanel>)[];
    templating?: { list?: Variable[] };
  }
>;
