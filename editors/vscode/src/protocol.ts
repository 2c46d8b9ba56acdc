// The server's own messages, as docs/protocol.md describes them.
import {
  type DocumentUri,
  NotificationType,
  type Position,
  ProgressType,
  type Range,
  RequestType,
} from 'vscode-languageclient/node';

export type HitKind = 'function' | 'method' | 'class' | 'type' | 'module' | 'section' | 'text';

export interface Hit {
  uri: DocumentUri;
  /** The whole piece of code. */
  range: Range;
  /** The line that names it, or its first line. */
  selectionRange: Range;
  /** With forward slashes, relative to its folder. */
  path: string;
  folder: DocumentUri;
  /** Qualified by its scope; empty when the piece has no name. */
  symbol: string;
  kind: HitKind;
  language: string;
  /** From 0 to 1: how likely it is what was asked for. */
  score: number;
  rank: number;
  exit: number;
  unsaved: boolean;
  snippet: { text: string; startLine: number };
}

export type CoverageState = 'starting' | 'indexing' | 'ready' | 'deepening' | 'paused' | 'off' | 'failed';

export interface Coverage {
  state: CoverageState;
  files: number;
  indexed: number;
  share: number;
  chunks: number;
  exit: number;
  deepened: number;
}

export interface Filters {
  limit?: number;
  minScore?: number;
  budget?: number;
  folders?: DocumentUri[];
}

export interface SearchParams extends Filters {
  query: string;
  partialResultToken?: string;
}

export interface SimilarParams extends Filters {
  textDocument?: { uri: DocumentUri };
  range?: Range;
  /** Takes the definition around it. */
  position?: Position;
  text?: string;
}

export interface SearchResult {
  hits: Hit[];
  /** The best of what was too weak to show, when there are no hits. */
  closest?: Hit;
  coverage: Coverage;
  message?: string;
  /** In milliseconds. */
  took: number;
}

export interface FolderStatus {
  uri: DocumentUri;
  name: string;
  coverage: Coverage;
  indexFolder: string;
  bytes: number;
  message?: string;
}

export interface Status {
  version: string;
  model: { name: string; exits: number[] };
  paused: boolean;
  trusted: boolean;
  folders: FolderStatus[];
  memory: { rss: number };
  settings: unknown;
  problems: string[];
}

export const SearchRequest = new RequestType<SearchParams, SearchResult, void>('modstar/search');
export const SearchProgress = new ProgressType<Pick<SearchResult, 'hits' | 'coverage'>>();
export const SimilarRequest = new RequestType<SimilarParams, SearchResult, void>('modstar/similar');
export const StatusRequest = new RequestType<Record<string, never>, Status, void>('modstar/status');
export const StatusChanged = new NotificationType<Status>('modstar/statusChanged');
export const TrustNotification = new NotificationType<{ trusted: boolean }>('modstar/trust');
