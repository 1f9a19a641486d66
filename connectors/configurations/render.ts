import { LRUCache } from 'lru-cache';
import { ProxyError, type ProxyErrorCode } from '../../platform/errors.ts';
import { printable } from '../../platform/printable.ts';
import { formatKey } from '../address.ts';
import type { ConnectorCatalogue, ConnectorDocuments } from '../catalogue.ts';
import type { Configuration } from '../schema.ts';
import {
  createBudget,
  type PreparedData,
  parseTemplate,
  prepareData,
  type RenderBudget,
  type Template,
  TemplateError,
  templateLengthMax,
} from '../template/template.ts';
import { builtinFiles } from './builtin-files.ts';
import { type DeclaredConfiguration, declaredConfigurations } from './declared.ts';
import { digestOf, fingerprintOf, specLength } from './fingerprints.ts';
import { paramsOf } from './params.ts';
import { type ConfigurationWant, fileMax, filesMax, filesTotalMax, isFileName } from './protocol.ts';
import { type ConfigurationContext, type TemplateConnector, templateConnector, templateData } from './template-data.ts';

/** Changes when other files come of the same documents. */
const renderVersion = 1;
/** Of all connectors of a volume together: what templates are rendered with is copied for each volume. */
const specsMax = 262_144;
const templatesMax = 1_000;
const templates = new LRUCache<string, Template>({ max: templatesMax, maxSize: 32 * 1024 * 1024 });

/** A file of a volume. */
export interface ConfigurationFile {
  readonly name: string;
  readonly content: string;
}

/**
 * The files of a volume, in no particular order.
 * @param documents of the wanted connectors, in their order
 * @throws ProxyError CONFIGURATION_UNKNOWN, CONFIGURATION_INVALID with class, configuration, file and line, or
 * CONFIGURATION_TOO_LARGE
 */
export function renderConfigurations(
  want: ConfigurationWant,
  documents: readonly ConnectorDocuments[],
  context: ConfigurationContext,
): readonly ConfigurationFile[] {
  const length = documents.reduce((sum, document) => sum + specLength(document), 0);
  if (length > specsMax) throw tooLarge(`the specs of its connectors have ${length} characters of at most ${specsMax}`);
  const connectors = documents.map((document) => templateConnector(document, context.clusterDomain));
  const files = new Map(builtinFiles(connectors, context));
  const all = chooseConfigurations(want, documents);
  const count = all.reduce((sum, { configuration }) => sum + Object.keys(configuration.data ?? {}).length, files.size);
  if (count > filesMax) throw tooLarge(`there would be ${count} files of at most ${filesMax}`);
  // One for the whole volume: nothing else runs in this process while templates do.
  const budget = createBudget();
  for (const chosen of all) {
    for (const { name, content } of renderOne(chosen, want, connectors, context, budget)) files.set(name, content);
  }
  for (const name of want.excluded) files.delete(name);
  return checked([...files].map(([name, content]) => ({ name, content })));
}

/**
 * Differs when the files of a want differ in more than the token.
 * @param documents of the wanted connectors that are there, in their order
 */
export function revisionOf(
  want: ConfigurationWant,
  documents: readonly ConnectorDocuments[],
  { caBundle, clusterDomain }: Omit<ConfigurationContext, 'token'>,
): string {
  const parts = documents.map((document) => fingerprintOf(document, want.names));
  return digestOf(JSON.stringify([renderVersion, want, parts, clusterDomain, caBundle]));
}

function chooseConfigurations(
  want: ConfigurationWant,
  documents: readonly ConnectorDocuments[],
): readonly DeclaredConfiguration[] {
  const declared = declaredConfigurations(documents);
  const chosen = want.names.map((name) => {
    const found = declared.get(name);
    if (found !== undefined) return found;
    throw new ProxyError(
      'CONFIGURATION_UNKNOWN',
      `there is no configuration "${printable(name, 80)}": ${printable(describeKnown(documents), 1024)}`,
    );
  });
  const stray = Object.keys(want.params).find((name) => !want.names.includes(name));
  if (stray === undefined) return chosen;
  throw refuse(
    `configuration.params names configuration "${printable(stray, 80)}", which configuration.names does not`,
  );
}

function describeKnown(documents: readonly ConnectorDocuments[]): string {
  const classes = new Map(documents.map(({ connectorClass }) => [connectorClass.metadata.name, connectorClass]));
  return [...classes.values()]
    .map(({ metadata, spec }) => {
      const names = spec.configurations?.map(({ name }) => name) ?? [];
      return `ConnectorClass "${metadata.name}" has ${names.length === 0 ? 'none' : names.join(', ')}`;
    })
    .join('; ');
}

function renderOne(
  { configuration, className }: DeclaredConfiguration,
  want: ConfigurationWant,
  connectors: readonly TemplateConnector[],
  context: ConfigurationContext,
  budget: RenderBudget,
): readonly ConfigurationFile[] {
  const { name, data = {} } = configuration;
  const params = paramsOf(configuration, Object.hasOwn(want.params, name) ? want.params[name] : {});
  const place = `ConnectorClass "${className}", configuration "${name}"`;
  const given = templateData(connectors, className, { [name]: params, ...params }, context);
  const variables = refusing(place, () => prepareData(given, budget));
  return Object.entries(data).map(([file, text]) => {
    const where = `${place}, file "${printable(file, 80)}"`;
    if (!isFileName(file)) {
      throw refuse(`${where}: that is no file name: write letters, digits, ".", "_" and "-", and no ".." before them`);
    }
    return { name: file, content: renderText(text, variables, budget, where) };
  });
}

function renderText(text: string, variables: PreparedData, budget: RenderBudget, where: string): string {
  if (text.length > templateLengthMax) {
    throw tooLarge(`${where}: the template has more than ${templateLengthMax} characters`);
  }
  return refusing(where, () => templateOf(text).render(variables, { maxLength: fileMax, budget }));
}

function refusing<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw refuse(told(where, error), error);
  }
}

const told = (where: string, { line, column, reason }: TemplateError): string =>
  `${where}, line ${line}, column ${column}: ${reason}`;

function templateOf(text: string): Template {
  const known = templates.get(text);
  if (known !== undefined) return known;
  const parsed = parseTemplate(text, 'template');
  templates.set(text, parsed, { size: parsed.weight });
  return parsed;
}

function checked(files: readonly ConfigurationFile[]): readonly ConfigurationFile[] {
  const sizes = files.map(({ content }) => Buffer.byteLength(content));
  const large = sizes.findIndex((size) => size > fileMax);
  if (large !== -1)
    throw tooLarge(`file "${files[large]?.name}" would have ${sizes[large]} bytes of at most ${fileMax}`);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > filesTotalMax) throw tooLarge(`the files would have ${total} bytes of at most ${filesTotalMax}`);
  return files;
}

const error = (code: ProxyErrorCode) => (message: string, cause?: unknown) => new ProxyError(code, message, { cause });
const refuse = error('CONFIGURATION_INVALID');
const tooLarge = error('CONFIGURATION_TOO_LARGE');

/**
 * What is wrong with the templates of a class by themselves, one sentence each: names of files, and what cannot be parsed.
 */
export function templateProblems(configurations: readonly Configuration[]): readonly string[] {
  return configurations.flatMap(({ name, data = {} }) =>
    Object.entries(data).flatMap(([file, text]) => {
      const where = `configuration "${name}", file "${printable(file, 80)}"`;
      if (!isFileName(file)) return [`${where}: that is no file name`];
      try {
        templateOf(text);
        return [];
      } catch (problem) {
        if (problem instanceof TemplateError) return [told(where, problem)];
        throw problem;
      }
    }),
  );
}

/** The documents of each connector of a want, and which one is not there. */
export function documentsFor(
  want: Pick<ConfigurationWant, 'connectors'>,
  { documents }: Pick<ConnectorCatalogue, 'documents'>,
): readonly ConnectorDocuments[] {
  return want.connectors.map((key) => {
    const found = documents(key);
    if (found !== undefined) return found;
    throw new ProxyError('CONNECTOR_UNKNOWN', `connector ${formatKey(key)}: there is no such connector`);
  });
}
