/** Which methods a path of the HTTP API takes, for those that come with another. */
const ALLOWED: readonly (readonly [RegExp, string])[] = [
  [/^\/v1\/(chat\/)?completions$/, 'POST, DELETE'],
  [/^\/v1\/models(\/.+)?$/, 'GET, HEAD'],
  [/^\/api\/(chat|generate)$/, 'POST, DELETE'],
  [/^\/api\/(show|pull)$/, 'POST'],
  [/^\/(api\/(status|tags|ps|version)|health\/(live|ready)|metrics|openapi\.json)$/, 'GET, HEAD'],
  [/^\/(health|v1\/health|version|ping)$/, 'GET, HEAD'],
  [/^\/models\/[^/]+\/[^/]+$/, 'GET, HEAD'],
];

/** As the Allow header names them; null for a path that is not the API's. */
export function allowedMethods(path: string): string | null {
  return ALLOWED.find(([pattern]) => pattern.test(path))?.[1] ?? null;
}
