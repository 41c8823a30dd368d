const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Whether a backend's url is the server that it is lent to: each request would come back as a new one, without end. */
export function leadsBack(url: string, serverUrl: string): boolean {
  const [backend, server] = [new URL(url), new URL(serverUrl)];
  const port = ({ port, protocol }: URL) => port || (protocol === 'https:' ? '443' : '80');
  if (port(backend) !== port(server)) return false;
  return (
    backend.hostname === server.hostname ||
    (LOOPBACK.test(backend.hostname) && LOOPBACK.test(server.hostname))
  );
}
