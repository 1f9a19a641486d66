import { type ApiServerSample, countBetween, isWrite, rateOf, requestsBetween } from './api-server.ts';
import type { ChangeLatencies } from './changes.ts';
import { expectedReasons, type Size } from './content.ts';
import type { IdleReport } from './idle.ts';
import type { ReadyReport } from './replica.ts';

/** All that a run found out. Seconds without another word are from the start of the first replica. */
export interface SyncResults {
  readonly size: Size;
  readonly creationSeconds: number;
  readonly first: ReadyReport;
  readonly api: {
    readonly before: ApiServerSample;
    readonly atReady: ApiServerSample;
    readonly atDone: ApiServerSample;
    readonly withSecond: ApiServerSample;
  };
  readonly toldSeconds: number;
  readonly decidedSeconds: number;
  readonly pullSecretsSeconds: number;
  readonly atDone: { readonly rssMaxBytes: number; readonly cpuSeconds: number };
  readonly reasons: ReadonlyMap<string, number>;
  readonly changes: ChangeLatencies;
  readonly second: ReadyReport;
  readonly idle: IdleReport;
  readonly takeover: {
    /** From SIGTERM to the leader. */
    readonly seconds: number;
    /** In the time after it. */
    readonly afterSeconds: number;
    readonly writes: ReadonlyMap<string, number>;
    readonly rssMaxBytes: number;
  };
  readonly warnings: readonly string[];
}

/** What makes the run a failure: empty when all is as it has to be. */
export function defectsOf({ first, second, reasons, size }: SyncResults): string[] {
  const wanted = [...expectedReasons(size)].map(([reason, count]) => `${reason}: ${count}`).sort();
  const found = [...reasons].map(([text, count]) => `${text.split(' ')[1]}: ${count}`).sort();
  return [
    ...(first.isSynced ? [] : ['the first replica was ready before it had read all Secrets']),
    ...(second.isSynced ? [] : ['the second replica was ready before it had read all Secrets']),
    ...(String(wanted) === String(found)
      ? []
      : [`reasons are ${found.join(', ')}; they were to be ${wanted.join(', ')}`]),
  ];
}

export function format(results: SyncResults, machine: string, command: string): string {
  const { size, reasons } = results;
  const what = `${count(size.connectors)} connectors with a Secret each, ${size.wrong} wrong ones, ${count(size.namespaces)} namespaces of which ${count(size.optedIn)} opted in`;
  const tallies = [...reasons].map(([text, number]) => `${text.split(' ')[1]} ${number}`).join(', ');
  return [
    `${machine}; \`${command}\``,
    `${what}. Reasons of Ready: ${tallies}.`,
    table(['', ''], [...startRows(results), ...changeRows(results), ...idleRows(results)]),
    `- ${requestsLine(results)}`,
    `- Writes in ${results.idle.minutes.toFixed(0)} idle minutes: ${list(results.idle.writes)}`,
    `- Writes in ${results.takeover.afterSeconds.toFixed(0)} s after the other replica took over: ${list(results.takeover.writes)}`,
  ].join('\n\n');
}

function startRows({ first, toldSeconds, decidedSeconds, pullSecretsSeconds, atDone, second, api }: SyncResults) {
  return [
    ['first replica ready, all Secrets read', `${first.seconds.toFixed(1)} s, ${first.cpuSeconds.toFixed(1)} s of CPU`],
    ['… its RSS then', mebibytes(first.rssBytes)],
    ['every connector has a Ready condition', `${toldSeconds.toFixed(0)} s`],
    ['… that is True or False', `${decidedSeconds.toFixed(0)} s`],
    ['every namespace that opted in has its pull secret', `${pullSecretsSeconds.toFixed(0)} s`],
    ['CPU of the leader until then', `${atDone.cpuSeconds.toFixed(0)} s`],
    ['RSS of the leader, at most', mebibytes(atDone.rssMaxBytes)],
    ['second replica ready', `${second.seconds.toFixed(1)} s, ${second.cpuSeconds.toFixed(1)} s of CPU`],
    ['… its RSS then', mebibytes(second.rssBytes)],
    [
      'RSS of the API server: before, with one replica, with two',
      [api.before, api.atReady, api.withSecond].map(({ rssBytes }) => mebibytes(rssBytes)).join(', '),
    ],
  ];
}

function changeRows({ changes, takeover }: SyncResults) {
  return [
    ['Secret edited → Ready follows', median(changes.secretEdited)],
    ['Connector created → Ready is True', median(changes.connectorCreated)],
    ['namespace labelled → pull secret', median(changes.namespaceLabelled)],
    ['leader told to end → the other leads', `${takeover.seconds.toFixed(1)} s`],
    ['… its RSS then, at most', mebibytes(takeover.rssMaxBytes)],
  ];
}

function idleRows({ idle }: SyncResults) {
  return idle.replicas.flatMap(({ rssBeforeBytes, rssAfterBytes, heapQuartersBytes, cpuShare }, at) => {
    const name = at === 0 ? 'leader' : 'other replica';
    return [
      [
        `idle for ${idle.minutes.toFixed(0)} min, ${name}: RSS before → after`,
        `${mebibytes(rssBeforeBytes)} → ${mebibytes(rssAfterBytes)}`,
      ],
      ['… heap, the least of each quarter', heapQuartersBytes.map(mebibytes).join(', ')],
      ['… CPU, of one core', `${(cpuShare * 100).toFixed(1)} %`],
    ];
  });
}

function requestsLine({ api, idle }: SyncResults): string {
  const line = (name: string, before: ApiServerSample, after: ApiServerSample): string =>
    `${name} ${rateOf(before, after).toFixed(0)} a second, ${count(countBetween(before, after))} in all (${list(requestsBetween(before, after), 6)})`;
  const cpu = (api.atDone.cpuSeconds - api.before.cpuSeconds).toFixed(0);
  return `Requests at the API server: ${line('until ready', api.before, api.atReady)}; ${line('until all is written', api.atReady, api.atDone)}; it used ${cpu} s of CPU for that. Idle: ${idle.readsPerSecond.toFixed(1)} reads a second, ${(idle.apiServerCpuShare * 100).toFixed(0)} % of a core.`;
}

function list(requests: ReadonlyMap<string, number>, most = 12): string {
  const entries = [...requests].slice(0, most).map(([name, number]) => `${name} ${count(number)}`);
  return entries.length === 0 ? 'none' : entries.join(', ');
}

export const writesBetween = (before: ApiServerSample, after: ApiServerSample): ReadonlyMap<string, number> =>
  new Map([...requestsBetween(before, after)].filter(([name]) => isWrite(name)));

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function median(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[sorted.length >> 1] ?? Number.NaN;
  return `${middle.toFixed(0)} ms (at most ${(sorted.at(-1) ?? Number.NaN).toFixed(0)})`;
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const count = (number: number): string => number.toLocaleString('en');
