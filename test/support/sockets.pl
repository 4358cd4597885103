# Does once all that a hook of a cgroup sees of sockets; in Perl, as Node has no Unix datagrams, and takes longer to start.
# perl sockets.pl FOLDER: where Unix sockets may be made.
use strict;
use warnings;
use Socket qw(:all);

my $folder = shift;

# Binds, sends and receives datagrams without a connection, then connects; asks for names and options.
sub datagrams {
  my ($family, $server_name, $client_name) = @_;
  socket(my $server, $family, SOCK_DGRAM, 0) or die "socket: $!";
  bind($server, $server_name) or die "bind: $!";
  socket(my $client, $family, SOCK_DGRAM, 0) or die "socket: $!";
  bind($client, $client_name) or die "bind: $!" if defined $client_name;
  my $name = getsockname($server) or die "getsockname: $!";
  send($client, 'x', 0, $name) or die "send: $!";
  defined recv($server, my $bytes, 16, 0) or die "recv: $!";
  connect($client, $name) or die "connect: $!";
  getpeername($client) or die "getpeername: $!";
  setsockopt($client, SOL_SOCKET, SO_RCVBUF, 65536) or die "setsockopt: $!";
  getsockopt($client, SOL_SOCKET, SO_RCVBUF) or die "getsockopt: $!";
}

datagrams(AF_INET, pack_sockaddr_in(0, INADDR_LOOPBACK));
datagrams(AF_INET6, pack_sockaddr_in6(0, IN6ADDR_LOOPBACK));
datagrams(AF_UNIX, pack_sockaddr_un("$folder/server"), pack_sockaddr_un("$folder/client"));

# A connection over TCP.
socket(my $listener, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
bind($listener, pack_sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!";
listen($listener, 1) or die "listen: $!";
socket(my $client, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
connect($client, getsockname($listener)) or die "connect: $!";
accept(my $accepted, $listener) or die "accept: $!";

# A device and a sysctl.
open(my $device, '<', '/dev/zero') or die "/dev/zero: $!";
open(my $sysctl, '<', '/proc/sys/kernel/ostype') or die "ostype: $!";
my $line = <$sysctl>;
