/* talk ADDRESS PORT: a connection and a datagram, made by a program that brings its own C library, so that nothing but the
 * kernel can see them. Whether anybody answers does not matter. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char** words) {
  struct sockaddr_in to = {.sin_family = AF_INET};
  if (count != 3 || inet_pton(AF_INET, words[1], &to.sin_addr) != 1) return 3;
  to.sin_port = htons((unsigned short)atoi(words[2]));
  const int stream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);
  if (stream < 0 || datagram < 0) return 1;
  (void)connect(stream, (const struct sockaddr*)&to, sizeof to);
  (void)sendto(datagram, "probe", 5, 0, (const struct sockaddr*)&to, sizeof to);
  sleep(2); /* the kernel tries to connect while the socket is there */
  return 0;
}
