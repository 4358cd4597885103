# Has a network block device read from its server, which is this script, and prints where: the offset of the request as it came over the wire,
# 16 hexadecimal digits.
#
#   perl nbd-request.pl /dev/nbd0
#
# It answers nothing: the read fails, and the device is free again. Source: include/uapi/linux/nbd.h.
use strict;
use warnings;
use Socket;

use constant { NBD_SET_SOCK => 0xab00, NBD_SET_SIZE => 0xab02, NBD_DO_IT => 0xab03, NBD_CLEAR_SOCK => 0xab04 };
use constant { MAGIC => 0x25609513, READ => 0, SECONDS => 60 };

my ($path) = @ARGV;

# What runs in a process of its own, and is ended with this one's part.
sub start {
    my ($work) = @_;
    my $child = fork() // die "fork: $!\n";
    return $child if $child > 0;
    $work->();
    exit 0;
}

socketpair(my $server, my $device, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!\n";
open(my $control, '+<', $path) or die "$path: $!\n";
ioctl($control, NBD_SET_SIZE, 1 << 20) or die "NBD_SET_SIZE: $!\n";
ioctl($control, NBD_SET_SOCK, fileno($device)) or die "NBD_SET_SOCK: $!\n";
my $driver = start(sub { close($server); ioctl($control, NBD_DO_IT, 0) });
close($device);
my $reader = start(sub {
    close($server);
    for (1 .. 100) {
        # The device has its size a moment after the driver runs.
        open(my $file, '<', $path) or next;
        my $read = sysread($file, my $bytes, 4096);
        last if !defined $read || $read > 0;
        select(undef, undef, undef, 0.1);
    }
});

$SIG{ALRM} = sub { kill 'KILL', $driver, $reader; die "no request came\n" };
alarm(SECONDS);
my $request = '';
while (length($request) < 28) {
    sysread($server, $request, 28 - length($request), length($request)) or die "the device hung up\n";
}
my ($magic, $type, undef, $from) = unpack('N N a8 a8', $request);
die "no request\n" if $magic != MAGIC || ($type & 0xffff) != READ;
print unpack('H*', $from);
# That ends both.
close($server);
ioctl($control, NBD_CLEAR_SOCK, 0);
close($control);
waitpid($_, 0) for $driver, $reader;
